-- SPDX-License-Identifier: GPL-3.0-or-later
-- how many
-- Of the newest restored requests whose way was seen (history that came back has none): id, site,
-- finished, then the ms of each phase.
local out = {}
for _, id in ipairs(redis.call('ZREVRANGE', 'nv:idx:state:restored', 0, ARGV[1] - 1)) do
	local v = redis.call('HMGET', key(id), 'site', 'finished', 'spent_queued', 'spent_export',
		'spent_upload', 'spent_wait', 'spent_download', 'spent_import')
	if v[7] or v[8] then
		out[#out + 1] = id
		for i = 1, 8 do
			out[#out + 1] = v[i] or '0'
		end
	end
end
return out
