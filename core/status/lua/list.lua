-- SPDX-License-Identifier: GPL-3.0-or-later
-- user, site, course, offset, limit, by change ('1', else by creation), ascending, state …
-- → {total, record …}; nil: only looking into the records (find.lua) gives this order.
-- Every index has the same score for the same id (its creation), so they intersect.  Redis does
-- the set work; Lua sees whole lists only where there is no index for the combination.
local offset, limit = tonumber(ARGV[4]), tonumber(ARGV[5])
local changed, ascending = ARGV[6] == '1', ARGV[7] == '1'
local base, states = filter_indexes(ARGV[1], ARGV[2], ARGV[3]), {}
for i = 8, #ARGV do
	states[#states + 1] = 'nv:idx:state:' .. ARGV[i]
end
if #states == 1 then
	base[#base + 1] = states[1]
	states = {}
end

-- All that match by the indexes, oldest first.
local function matching()
	if #states == 0 and #base <= 1 then
		return redis.call('ZRANGE', base[1] or 'nv:idx:all', 0, -1)
	elseif #states == 0 then
		return redis.call('ZINTER', #base, unpack(base))
	elseif #base == 0 then
		return redis.call('ZUNION', #states, unpack(states))
	end
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
	return found
end

-- By the index of changes; nil: it does not have all (a record written before there was one), or the
-- filter needs more than it.
local function by_change()
	if #states > 0 or redis.call('ZCARD', MODIFIED) ~= redis.call('ZCARD', 'nv:idx:all') then
		return nil
	elseif #base == 0 then
		return redis.call('ZRANGE', MODIFIED, 0, -1)
	end
	local args = {#base + 1, MODIFIED}
	for _, k in ipairs(base) do
		args[#args + 1] = k
	end
	args[#args + 1] = 'WEIGHTS'
	args[#args + 1] = 1
	for _ = 1, #base do
		args[#args + 1] = 0
	end
	return redis.call('ZINTER', unpack(args))
end

local total, ids = 0, {}
if not changed and #states == 0 and #base <= 1 then
	local k = base[1] or 'nv:idx:all'
	total = redis.call('ZCARD', k)
	if limit > 0 then
		ids = redis.call(ascending and 'ZRANGE' or 'ZREVRANGE', k, offset, offset + limit - 1)
	end
else
	local list
	if changed then
		list = by_change()
	else
		list = matching()
	end
	if not list then
		return nil
	end
	total = #list
	if ascending then
		for i = offset + 1, math.min(total, offset + limit) do
			ids[#ids + 1] = list[i]
		end
	else
		for i = total - offset, math.max(1, total - offset - limit + 1), -1 do
			ids[#ids + 1] = list[i]
		end
	end
end
local out = {total}
for _, id in ipairs(ids) do
	out[#out + 1] = whole(id)
end
return out
