-- SPDX-License-Identifier: GPL-3.0-or-later
-- user, what (count, records, aged, joins, events, notices), cursor ('': the beginning), most to look at
-- Answers removed, kept, the cursor to go on from ('': it is done).
-- count: how many records there are to remove.  records: those that have ended, with all that belongs
-- to them; others are kept.  aged: the same of everybody, where nothing has changed for so many ms (in
-- the user's place).  joins: the user's wishes to join others' courses.  events, notices: the streams'
-- entries about the user.
local user, what, cursor, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local removed, kept = 0, 0

-- ids: of this index from the from-th place on; what is removed makes the next ones move up.
local function sift(ids, index, from)
	for _, id in ipairs(ids) do
		local r = load(id)
		if r and FINAL[r.state] then
			removed = removed + 1
			if what ~= 'count' then
				erase(r)
			end
			if what == 'records' then -- what is old has left the store long ago
				redis.call('SADD', UNSTORE, r.site .. '/' .. r.id)
			end
		elseif r then
			kept = kept + 1
		elseif what ~= 'count' then
			redis.call('ZREM', index, id)
		end
	end
	return #ids == most and int(from + (what == 'count' and #ids or kept)) or ''
end

local function records()
	local from, index = tonumber(cursor) or 0, 'nv:idx:user:' .. user
	return sift(redis.call('ZRANGE', index, from, from + most - 1), index, from)
end

local function aged()
	local from = tonumber(cursor) or 0
	return sift(redis.call('ZRANGEBYSCORE', MODIFIED, '-inf', int(NOW - tonumber(user)), 'LIMIT', from,
		most), MODIFIED, from)
end

local function joins()
	local from = tonumber(cursor) or 0
	local ids = redis.call('ZRANGE', 'nv:idx:all', from, from + most - 1)
	for _, id in ipairs(ids) do
		removed = removed + redis.call('HDEL', key(id), 'join:' .. user)
	end
	return #ids == most and int(from + #ids) or ''
end

local function stream(name)
	local entries = redis.call('XRANGE', name, cursor == '' and '-' or '(' .. cursor, '+', 'COUNT',
		ARGV[4])
	for _, e in ipairs(entries) do
		for i = 1, #e[2], 2 do
			if e[2][i] == 'user' and e[2][i + 1] == user then
				removed = removed + redis.call('XDEL', name, e[1])
			end
		end
	end
	return #entries == most and entries[#entries][1] or ''
end

local go_on
if what == 'joins' then
	go_on = joins()
elseif what == 'events' then
	go_on = stream(EVENTS)
elseif what == 'notices' then
	go_on = stream(NOTICES)
elseif what == 'aged' then
	go_on = aged()
else
	go_on = records()
end
return {removed, kept, go_on}
