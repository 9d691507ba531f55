-- SPDX-License-Identifier: GPL-3.0-or-later
-- request, token ('': none), state, "1": a failed attempt, "held", how long the import took in ms, ms until
-- the next try (0: none), field, value, …
local q = request(1)
local token, to = ARGV[8], ARGV[9]
local set = pairs_from(13)
local r = load(q.id)
local owner = redis.call('GET', claim_key(q.id))
local LOST = {'retry', 'claim_lost', 'the claim on request ' .. q.id .. ' is not ours any more'}

if not r and is_forgotten(q.id) then
	return {'ok'}
end
-- The same call again, whose answer was lost.
if r and token ~= '' and r.last_token == token and r.state == to then
	return {'ok'}
end
if token == '' then
	if owner then
		return {'hold', 'busy', 'somebody works on request ' .. q.id}
	end
	if r and (FINAL[r.state] or tonumber(r.rev) > tonumber(q.rev)) then
		return {'ok'}
	end
	if r and to == 'failed' and set.reason == 'clock' and r.rev == q.rev and others_go_on(r) then
		return {'ok'}
	end
elseif owner ~= token then
	-- The course is there, whatever became of the claim.
	if to ~= 'restored' or owner then
		return LOST
	end
	if r and r.state == 'restored' then
		return {'ok'}
	end
end
if r and tonumber(r.rev) < tonumber(q.rev) then
	adopt(r, q, '1')
end
r = r or make(q, '1')
if r.state == 'cancelling' and (to == 'ready' or to == 'scheduled') then
	to = 'cancelled'
	set.reason = 'cancelled'
	set.message = r.message
end
if not may('w', r.state, to) then
	if owner == token then
		redis.call('DEL', claim_key(q.id))
	end
	return conflict('request ' .. q.id .. ' is ' .. r.state)
end
if owner == token and r.state == 'importing' and ARGV[11] ~= '0' then -- no heartbeat may have told
	r.step = 'import'
	count_time(r, set, ARGV[11])
end
set.state = to
set.reason = set.reason or false
set.message = set.message or false
set.published = '1'
if to == 'ready' or to == 'scheduled' then
	if ARGV[10] == 'held' then
		set.held = held_since(r, set.reason)
	elseif ARGV[12] ~= '0' then
		set.next_try = int(NOW + tonumber(ARGV[12]))
	end
end
if token ~= '' then
	set.last_token = token
end
if to ~= 'failed' then
	set.step, set.done, set.total = false, false, false
end
if ARGV[10] == '1' then
	set.failures = int(tonumber(r.failures or '0') + 1)
end
save(r, set)
if owner == token then
	redis.call('DEL', claim_key(q.id))
end
emit(r, to, who('worker', token ~= '' and r.host))
return {'ok'}
