-- SPDX-License-Identifier: GPL-3.0-or-later
-- cursor ('$': only tell where the end is), most entries
-- Answers lost (0 or 1), the cursor to go on from, entries.
local function split(id)
	local ms, n = string.match(id, '^(%d+)-(%d+)$')
	return tonumber(ms), tonumber(n)
end
local function before(a, b)
	local am, an = split(a)
	local bm, bn = split(b)
	return am < bm or (am == bm and an < bn)
end
local cursor = ARGV[1]
local first = redis.call('XRANGE', EVENTS, '-', '+', 'COUNT', '1')[1]
local last = redis.call('XREVRANGE', EVENTS, '+', '-', 'COUNT', '1')[1]
if cursor == '$' then
	return {0, last and last[1] or '0-0', {}}
end
local lost = 0
if cursor ~= '0-0' then
	if not first then
		return {1, '0-0', {}}
	end
	-- Emptied, and filled again by a clock that is behind; or cut beyond the cursor.
	if before(last[1], cursor) then
		lost, cursor = 1, '0-0'
	elseif before(cursor, first[1]) then
		lost = 1
	end
end
local entries = redis.call('XRANGE', EVENTS, '(' .. cursor, '+', 'COUNT', ARGV[2])
if #entries > 0 then
	cursor = entries[#entries][1]
end
return {lost, cursor, entries}
