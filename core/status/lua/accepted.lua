-- SPDX-License-Identifier: GPL-3.0-or-later
-- request, only_one
-- A producer has accepted this revision, and the broker has not got it yet: the record as it is, or made
-- again where this Redis has not heard of it.
local q = request(1)
local r = load(q.id)
if r and r.rev == q.rev then
	redis.call('HSET', key(q.id), 'kept', '1')
end
if r and tonumber(r.rev) >= tonumber(q.rev) then
	return {'ok', whole(q.id)}
end
if r and (r.state == 'importing' or r.state == 'cancelling' or r.state == 'restored') then
	return {'ok', whole(q.id)} -- who works on the older revision ends first
end
if not r and (is_forgotten(q.id) or is_withdrawn(q.id, q.rev)) then
	return not_found(q.id)
end
local other = ARGV[8] == '1' and holder(q.site, q.rcourse, q.id)
if other and q.user ~= '' and redis.call('HGET', key(other), 'user') == q.user then
	return taken(other) -- they have asked again meanwhile
end
if r then
	adopt(r, q, '0')
else
	r = make(q, '0')
end
note(q.id, int(NOW), 'producer', 'warn',
	'the status database had lost this request; the producer had it on its disk')
if other and may('p', r.state, 'failed') then
	local why = taken(other)
	save(r, {state = 'failed', reason = why[2], message = why[3]})
	emit(r, 'failed', 'producer')
else
	redis.call('ZADD', UNPUBLISHED, long_ago(r.created), r.id) -- the sweep's next
	emit(r, 'scheduled', 'producer')
end
return {'ok', whole(q.id)}
