-- SPDX-License-Identifier: GPL-3.0-or-later
-- number of states, state …, site …
-- Answers for each site how many requests are in each of the states.
local n = tonumber(ARGV[1])
local out = {}
for i = n + 2, #ARGV do
	for k = 2, n + 1 do
		out[#out + 1] = redis.call('ZINTERCARD', 2, 'nv:idx:site:' .. ARGV[i],
			'nv:idx:state:' .. ARGV[k])
	end
end
return out
