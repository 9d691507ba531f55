-- SPDX-License-Identifier: GPL-3.0-or-later
-- score, seen, count, user, site, course, sort, text, person, state …: one step of looking into the
-- records.  Of the requests from that creation time on ('': all), without the first `seen` of that very
-- time, the next `count` are looked at: whoever searches among 100,000 must not keep Redis from all others.
-- → {score, seen, sort key, id, sort key, id …} of those that match; score '': that was all.
local score, seen, count = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local sort, text, person = ARGV[7], fold(ARGV[8]), fold(ARGV[9])
local indexes, states = filter_indexes(ARGV[4], ARGV[5], ARGV[6]), {}
for i = 10, #ARGV do
	states[ARGV[i]] = true
end

-- The first is gone through, the others are asked about each id.  Every index has the same score for the
-- same id (its creation).
local walked = table.remove(indexes, 1) or 'nv:idx:all'
local function is_in_all(id)
	for _, k in ipairs(indexes) do
		if not redis.call('ZSCORE', k, id) then
			return false
		end
	end
	return true
end

local field = (sort == 'modified' or sort == 'finished') and sort or 'created'
local function look_at(id, out)
	local v = redis.call('HMGET', key(id), 'find', 'state', field)
	if next(states) and not states[v[2] or ''] or not is_in_all(id) then
		return
	end
	local find = v[1] or find_text(id, redis.call('HGET', key(id), 'request') or '')
	local cut = string.find(find, '\0', 1, true) or 0
	local people = cut > 0 and string.sub(find, 1, cut - 1) or ''
	if (text ~= '' and not string.find(find, text, 1, true)) or
		(person ~= '' and not string.find(people, person, 1, true)) then
		return
	end
	local k = string.format('%015.0f', tonumber(v[3] or '0'))
	if sort == 'user' then
		k = people
	elseif sort == 'course' then
		k = string.sub(find, cut + 1)
	end
	out[#out + 1] = k
	out[#out + 1] = id
end

local from = score == '' and '-inf' or score
local next_ones = redis.call('ZRANGE', walked, from, '+inf', 'BYSCORE', 'LIMIT', seen, count, 'WITHSCORES')
local out = {'', 0}
for i = 1, #next_ones, 2 do
	look_at(next_ones[i], out)
	seen = next_ones[i + 1] == score and seen + 1 or 1
	score = next_ones[i + 1]
end
if #next_ones == 2 * count then
	out[1], out[2] = score, seen
end
return out
