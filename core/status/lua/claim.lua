-- SPDX-License-Identifier: GPL-3.0-or-later
-- request, attempt, host, token, lease in ms, reopen, token of whoever is ahead
local q = request(1)
local r = load(q.id)
local from = who('worker', ARGV[9])
local live = redis.call('EXISTS', claim_key(q.id)) == 1

if r and tonumber(r.rev) > tonumber(q.rev) or not r and is_forgotten(q.id) then
	return {'ok', 'superseded'}
end
if r and r.state == 'restored' then
	return {'ok', 'done'}
end
local newer = r and tonumber(r.rev) < tonumber(q.rev)
local reopen = r and r.state == 'failed' and (ARGV[12] == '1' or begun_later(r, ARGV[8]))
if r and not newer and FINAL[r.state] and not reopen then
	return {'ok', r.state}
end
if live then
	return {'ok', 'busy'}
end
if r and r.state == 'cancelling' and may('w', r.state, 'cancelled') then
	save(r, {state = 'cancelled', reason = r.reason or 'cancelled'})
	emit(r, 'cancelled', from)
	return {'ok', 'cancelled'}
end
if is_withdrawn(q.id, q.rev) then
	return {'ok', 'superseded'}
end
if not r then
	note_unknown()
end
if may_be_withdrawn() then
	return {'ok', 'busy'}
end
local ahead = redis.call('GET', ahead_key(q.id))
if ahead and ahead ~= ARGV[13] then
	return {'ok', 'ahead'}
end
redis.call('DEL', ahead_key(q.id), ahead_key(q.id) .. ':ready')
if newer then
	adopt(r, q, '1')
end
r = r or make(q, '1')
if not may('w', r.state, 'importing') then
	return conflict('request ' .. q.id .. ' is ' .. r.state)
end
local held = r.reason == 'busy'
redis.call('SET', claim_key(q.id), ARGV[10], 'PX', ARGV[11])
save(r, {state = 'importing', attempt = ARGV[8] ~= '' and ARGV[8] or r.attempt or false,
	host = ARGV[9] ~= '' and ARGV[9] or false, published = '1', step = false, done = false,
	total = false, reason = false, message = false})
emit(r, 'importing', from, held)
return {'ok', 'ours'}
