-- SPDX-License-Identifier: GPL-3.0-or-later
-- state …
local out = {}
for i, s in ipairs(ARGV) do
	out[i] = redis.call('ZCARD', 'nv:idx:state:' .. s)
end
return out
