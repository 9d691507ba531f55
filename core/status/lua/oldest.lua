-- SPDX-License-Identifier: GPL-3.0-or-later
-- site …
-- Answers for each how long the request that waits longest for that course server has waited, ms.
local out = {}
for i, site in ipairs(ARGV) do
	local first = redis.call('ZRANGE', waiting_key(site), 0, 0, 'WITHSCORES')
	out[i] = first[2] and math.max(0, NOW - math.floor(tonumber(first[2]) / 1000)) or 0
end
return out
