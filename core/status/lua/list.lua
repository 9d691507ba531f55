-- SPDX-License-Identifier: GPL-3.0-or-later
-- user, site, course, offset, limit, sort ('': created), ascending, text, person, state …
-- Every index has the same score for the same id (its creation), so they intersect.  Redis does
-- the set work; Lua sees whole lists only where there is no index for the combination, and looks
-- into the records only where a text is looked for or another order is asked.
local offset, limit = tonumber(ARGV[4]), tonumber(ARGV[5])
local sort, ascending = ARGV[6], ARGV[7] == '1'
local text, person = fold(ARGV[8]), fold(ARGV[9])
local base, states = {}, {}
if ARGV[1] ~= '' then
	base[#base + 1] = 'nv:idx:user:' .. ARGV[1]
end
if ARGV[3] ~= '' then
	base[#base + 1] = course_key(ARGV[2], ARGV[3])
elseif ARGV[2] ~= '' then
	base[#base + 1] = 'nv:idx:site:' .. ARGV[2]
end
for i = 10, #ARGV do
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

-- Those of them that hold the texts, in the order that was asked for.  Sorted are strings that end
-- with the id: that needs no function for each comparison.
local function chosen(list)
	local field = (sort == 'modified' or sort == 'finished') and sort or 'created'
	local keys = {}
	for _, id in ipairs(list) do
		local v = redis.call('HMGET', key(id), 'find', field)
		local find = v[1] or find_text(id, redis.call('HGET', key(id), 'request') or '')
		local cut = string.find(find, '\0', 1, true) or 0
		if (text == '' or string.find(find, text, 1, true)) and
			(person == '' or string.find(string.sub(find, 1, cut), person, 1, true)) then
			local k = string.format('%015.0f', tonumber(v[2] or '0'))
			if sort == 'user' then
				k = string.sub(find, 1, cut)
			elseif sort == 'course' then
				k = string.sub(find, cut + 1)
			end
			keys[#keys + 1] = k .. '\1' .. id
		end
	end
	table.sort(keys)
	for i, k in ipairs(keys) do
		keys[i] = string.sub(k, -36)
	end
	return keys
end

-- By the index of changes; nil: it does not have all (a record written before there was one), or the
-- filter needs more than it.
local function by_change()
	if sort ~= 'modified' or text ~= '' or person ~= '' or #states > 0 or
		redis.call('ZCARD', MODIFIED) ~= redis.call('ZCARD', 'nv:idx:all') then
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
local by_index = sort == '' and text == '' and person == ''
if by_index and #states == 0 and #base <= 1 then
	local k = base[1] or 'nv:idx:all'
	total = redis.call('ZCARD', k)
	if limit > 0 then
		ids = redis.call(ascending and 'ZRANGE' or 'ZREVRANGE', k, offset, offset + limit - 1)
	end
else
	local list = by_change()
	if not list then
		list = matching()
		if not by_index then
			list = chosen(list)
		end
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
