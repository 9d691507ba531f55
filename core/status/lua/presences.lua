-- SPDX-License-Identifier: GPL-3.0-or-later
-- Answers name, when it was said last (ms), value; of each that is there.
local out = {}
local all = redis.call('ZRANGE', 'nv:present', 0, -1, 'WITHSCORES')
for i = 1, #all, 2 do
	local value = redis.call('GET', 'nv:present:' .. all[i])
	if value then
		out[#out + 1] = all[i]
		out[#out + 1] = all[i + 1]
		out[#out + 1] = value
	end
end
return out
