-- SPDX-License-Identifier: GPL-3.0-or-later
-- request, attempt, seq, state of a record, step, done, total, reason, message, host,
-- hold, next try, when it was said (both ms, by the archiver's clock), lines for the log (see note_lines)
local q = request(1)
local attempt, seq, to = ARGV[8], ARGV[9], ARGV[10]
local OLD = {'ok', 'old'}
local from = who('archiver', ARGV[16])
local r = load(q.id)
if not r then
	local withdrawn, cancelled = is_withdrawn(q.id, q.rev)
	if is_forgotten(q.id) or withdrawn and not (cancelled and to == 'cancelled') then
		return OLD
	end
	note_unknown()
	r = make(q, '1')
end

-- What was seen is worth keeping even where the news is old.
note_lines(q.id, attempt, from, 20)
if tonumber(r.rev) > tonumber(q.rev) then
	return OLD
end
local newer = tonumber(r.rev) < tonumber(q.rev)
if r.state == 'restored' or
	FINAL[r.state] and not newer and not (r.state == 'failed' and begun_later(r, attempt)) then
	return OLD
end
if newer then
	-- A revision that this Redis has not heard of; but who works on the older one ends first.
	if r.state == 'importing' or r.state == 'cancelling' then
		return OLD
	end
	adopt(r, q, '1')
end
if r.attempt == attempt and r.seq and tonumber(seq) <= tonumber(r.seq) then
	return OLD
end
-- The first ready wins: what becomes of another attempt is of no interest.
if r.state == 'ready' and r.attempt and r.attempt ~= attempt then
	return OLD
end
-- Of several copies that wait for a clock, the last that is given up fails the request; but not while
-- another is being served.
if to == 'failed' and ARGV[14] == 'clock' and
	(others_go_on(r) or (r.state == 'exporting' and attempt ~= r.attempt)) then
	return OLD
end
-- Held, or no longer held, says an attempt whose message another has begun to serve.
if to == 'scheduled' and ARGV[17] == '1' and r.state == 'exporting' and attempt < (r.attempt or '') then
	return OLD
end

local set = {attempt = attempt, seq = seq, published = '1'}
local function field(name, i)
	set[name] = ARGV[i] ~= '' and ARGV[i] or false
end
field('step', 11)
field('done', 12)
field('total', 13)
if ARGV[16] ~= '' then
	set.host = ARGV[16]
end
if r.state == 'cancelling' and to == 'exporting' then
	-- It has not heard of the wish yet; the bytes are still worth showing.
	save(r, set)
	emit(r, nil)
	return {'ok', 'applied'}
end
if not may('k', r.state, to) then
	return OLD
end
field('reason', 14)
field('message', 15)
local hold = to == 'scheduled' and (ARGV[17] == '1' or not set.reason or set.reason == 'busy')
if to == 'failed' or (to == 'scheduled' and not hold) then
	set.failures = int(tonumber(r.failures or '0') + 1)
end
local due = tonumber(ARGV[18])
if hold then
	set.held = held_since(r, set.reason)
elseif to == 'scheduled' and due > 0 then -- by our clock, whatever theirs says
	set.next_try = int(NOW + math.max(0, due - tonumber(ARGV[19])))
end
if to == 'cancelled' and not set.reason then
	set.reason = r.reason or 'cancelled'
	set.message = r.message or false
end
local progress = to == 'exporting' and r.state == to
set.state = to
save(r, set)
emit(r, not progress and to or nil, from)
return {'ok', 'applied'}
