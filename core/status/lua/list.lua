-- SPDX-License-Identifier: GPL-3.0-or-later
-- user, site, course, offset, limit, state …
-- Every index has the same score for the same id (its creation), so they intersect.  Redis does
-- the set work; Lua sees whole lists only where there is no index for the combination.
local offset, limit = tonumber(ARGV[4]), tonumber(ARGV[5])
local base, states = {}, {}
if ARGV[1] ~= '' then
	base[#base + 1] = 'nv:idx:user:' .. ARGV[1]
end
if ARGV[3] ~= '' then
	base[#base + 1] = course_key(ARGV[2], ARGV[3])
elseif ARGV[2] ~= '' then
	base[#base + 1] = 'nv:idx:site:' .. ARGV[2]
end
for i = 6, #ARGV do
	states[#states + 1] = 'nv:idx:state:' .. ARGV[i]
end
if #states == 1 then
	base[#base + 1] = states[1]
	states = {}
end

local total, ids = 0, {}
local function page_of(list) -- oldest first
	total = #list
	for i = total - offset, math.max(1, total - offset - limit + 1), -1 do
		ids[#ids + 1] = list[i]
	end
end

if #states == 0 and #base <= 1 then
	local k = base[1] or 'nv:idx:all'
	total = redis.call('ZCARD', k)
	if limit > 0 then
		ids = redis.call('ZREVRANGE', k, offset, offset + limit - 1)
	end
elseif #states == 0 then
	page_of(redis.call('ZINTER', #base, unpack(base)))
elseif #base == 0 then
	page_of(redis.call('ZUNION', #states, unpack(states)))
else
	-- An id is in one state only: ask for each state and sort by creation, then id.
	local found = {}
	for _, s in ipairs(states) do
		local keys = {s, unpack(base)}
		local l = redis.call('ZINTER', #keys, unpack(keys))
		for _, id in ipairs(l) do
			-- A UUIDv7 sorts by its creation.
			found[#found + 1] = id
		end
	end
	table.sort(found)
	page_of(found)
end
local out = {total}
for _, id in ipairs(ids) do
	out[#out + 1] = whole(id)
end
return out
