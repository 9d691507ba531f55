-- SPDX-License-Identifier: GPL-3.0-or-later
-- id
-- Answers how many lines have been dropped, then the entries, oldest first.
local k = log_key(ARGV[1])
local out = {0}
if redis.call('EXISTS', k) == 0 then
	return out
end
local info = redis.call('XINFO', 'STREAM', k)
local added, len = 0, 0
for i = 1, #info, 2 do
	if info[i] == 'entries-added' then
		added = info[i + 1]
	elseif info[i] == 'length' then
		len = info[i + 1]
	end
end
out[1] = added - len
for _, entry in ipairs(redis.call('XRANGE', k, '-', '+')) do
	out[#out + 1] = entry[2]
end
return out
