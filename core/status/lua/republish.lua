-- SPDX-License-Identifier: GPL-3.0-or-later
-- state …
-- The requests in these states count as if the broker had never confirmed them: the sweep sends each
-- out again.  Answers how many they are.
local keys, weights = {UNPUBLISHED}, {1}
local count = 0
for i, s in ipairs(ARGV) do
	keys[i + 1], weights[i + 1] = 'nv:idx:state:' .. s, 0
	count = count + redis.call('ZCARD', keys[i + 1])
end
local args = {UNPUBLISHED, #keys, unpack(keys)}
args[#args + 1] = 'WEIGHTS'
for _, w in ipairs(weights) do
	args[#args + 1] = w
end
args[#args + 1] = 'AGGREGATE'
args[#args + 1] = 'MIN'
redis.call('ZUNIONSTORE', unpack(args))
return {'ok', int(count)}
