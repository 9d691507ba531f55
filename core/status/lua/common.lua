-- SPDX-License-Identifier: GPL-3.0-or-later
-- In front of every script, behind MAY and FINAL, which C writes (scripts.c).
-- Keys: see README.md.  A record r is a table of the fields below, absent ones nil.
local EVENTS, NOTICES, UNPUBLISHED = 'nv:events', 'nv:notices', 'nv:idx:unpublished'
local WAITING = 'nv:notices:waiting'
local UNSTORE = 'nv:unstore' -- "<site>/<id>": archives that must leave the store
local MODIFIED = 'nv:idx:modified' -- the only index whose score is not the creation
local LENGTH = '100000' -- of either stream, about
local LOG_LENGTH = '500' -- lines of a request's log
local LOG_DAYS = 31 -- how long it is remembered who has said what: longer than any message lives
local FIELDS = {'state', 'rev', 'user', 'site', 'rcourse', 'created', 'attempt', 'seq', 'host',
	'step', 'done', 'total', 'reason', 'message', 'failures', 'started', 'modified',
	'published', 'course_deleted', 'last_token', 'finished', 'archived', 'unrouted', 'phase', 'phase_at',
	'held', 'next_try', 'again', 'copies',
	'spent_queued', 'spent_export', 'spent_upload', 'spent_wait', 'spent_download', 'spent_import'}

local function int(n)
	return string.format('%.0f', n)
end

local now_is = redis.call('TIME')
local NOW = now_is[1] * 1000 + math.floor(now_is[2] / 1000)

-- A score that makes it the sweep's next; `created` is by the producer's clock, which may be wrong.
local function long_ago(created)
	return int(math.min(tonumber(created), NOW - 60000))
end

local function key(id)
	return 'nv:req:' .. id
end

local function claim_key(id)
	return 'nv:claim:' .. id
end

-- Who fetches an archive before it is whole; with :ready behind it, the message that it is.
local AHEAD_KEEP = '60000'
local function ahead_key(id)
	return 'nv:ahead:' .. id
end

-- The record before its last change, for as long as that may have to be undone (undo.lua).
local BEFORE_KEEP = '600000'
local function before_key(id)
	return 'nv:before:' .. id
end

local function course_key(site, course)
	return 'nv:course:' .. site .. ':' .. course
end

local function log_key(id)
	return 'nv:log:' .. id
end

local function logged_key(id)
	return 'nv:logged:' .. id
end

-- The newest revision that producers have withdrawn (withdrawn.lua), for as long as a message about it
-- may live: no message of it, or of an older one, makes a record that was lost.
local function withdrawn_key(id)
	return 'nv:withdrawn:' .. id
end

-- Second value: was that to cancel the request, and not to change it?
local function is_withdrawn(id, rev)
	local newest, how = string.match(redis.call('GET', withdrawn_key(id)) or '', '^(%d+)(c?)$')
	return newest and tonumber(rev) <= tonumber(newest) or false, how == 'c'
end

-- A message names a request without a record, perhaps because this Redis was emptied: producers are told,
-- the first time, to say which revisions they have withdrawn.
local EMPTIED = 'nv:emptied' -- when that was, ms
local function note_unknown()
	if redis.call('SET', EMPTIED, int(NOW), 'NX') then
		redis.call('XADD', EVENTS, 'MAXLEN', '~', LENGTH, '*', 'kind', 'emptied')
	end
end

-- Is that so recent that some of them may still have to say it?
local TELLING = 10000 -- ms
local function may_be_withdrawn()
	local at = redis.call('GET', EMPTIED)
	return at and math.abs(NOW - tonumber(at)) < TELLING
end

-- There for as long as a message about it may live: it must not bring back what was forgotten.
local function forgotten_key(id)
	return 'nv:forgotten:' .. id
end

local function is_forgotten(id)
	return redis.call('EXISTS', forgotten_key(id)) == 1
end

local function waiting_key(site)
	return 'nv:idx:waiting:' .. site
end

-- All that is known of it, with its place among those that wait for its course server, from 1.
local function whole(id)
	local fields = redis.call('HGETALL', key(id))
	local v = redis.call('HMGET', key(id), 'state', 'site')
	local before = v[1] == 'scheduled' and redis.call('ZRANK', waiting_key(v[2]), id)
	if before then
		fields[#fields + 1] = 'place'
		fields[#fields + 1] = int(before + 1)
	end
	return fields
end

local function may(who, from, to)
	return string.find(MAY, ' ' .. who .. ':' .. from .. '>' .. to .. ' ', 1, true) ~= nil
end

local function load(id)
	local v = redis.call('HMGET', key(id), unpack(FIELDS))
	if not v[1] then
		return nil
	end
	local r = {id = id}
	for i, f in ipairs(FIELDS) do
		r[f] = v[i] or nil
	end
	return r
end

-- Did this attempt begin after the record had failed?  Then an operator has put the request back, and
-- what was final goes on.  The attempt's clock (UUIDv7) is another machine's: the attempt that failed
-- is not a later one, whatever its clock says.
local function begun_later(r, attempt)
	if #attempt ~= 36 or attempt == r.attempt then
		return false
	end
	local ms = tonumber(string.sub(attempt, 1, 8) .. string.sub(attempt, 10, 13), 16)
	return ms ~= nil and ms > tonumber(r.finished or '0')
end

-- The request as C passes it (nv_args_request).
local function request(i)
	return {id = ARGV[i], rev = ARGV[i + 1], site = ARGV[i + 2], rcourse = ARGV[i + 3],
		user = ARGV[i + 4], created = ARGV[i + 5], request = ARGV[i + 6]}
end

-- Has anybody asked for this new request within a minute (create.lua)?
local function asked_lately(id)
	return NOW - tonumber(redis.call('HGET', key(id), 'asked') or '0') < 60000
end

-- Field-value pairs from ARGV[i] on.
local function pairs_from(i)
	local t = {}
	while ARGV[i + 1] do
		t[ARGV[i]] = ARGV[i + 1]
		i = i + 2
	end
	return t
end

-- The indexes that do not depend on the state.
local function indexes(r)
	local t = {'nv:idx:all', 'nv:idx:site:' .. r.site, course_key(r.site, r.rcourse)}
	if r.user and r.user ~= '' then
		t[#t + 1] = 'nv:idx:user:' .. r.user
	end
	return t
end

-- Those that a filter names; '': not by that.
local function filter_indexes(user, site, course)
	local t = {}
	if user ~= '' then
		t[#t + 1] = 'nv:idx:user:' .. user
	end
	if course ~= '' then
		t[#t + 1] = course_key(site, course)
	elseif site ~= '' then
		t[#t + 1] = 'nv:idx:site:' .. site
	end
	return t
end

-- Upper case to lower, of ASCII and of Latin-1's letters in UTF-8: what is looked for.
local function fold(s)
	s = string.gsub(string.lower(s), '\195([\128-\158])', function(c)
		return '\195' .. string.char(string.byte(c) + 32)
	end)
	return s
end

-- What find.lua looks into and sorts by: people, a NUL, the course; what is shown comes first.
local function find_text(id, request)
	local ok, q = pcall(cmsgpack.unpack, request)
	if not ok or type(q) ~= 'table' then
		return id
	end
	local function part(...)
		local t = {}
		for i = 1, select('#', ...) do
			local v = select(i, ...)
			t[i] = type(v) == 'string' and v or ''
		end
		return fold(table.concat(t, '\n'))
	end
	return part(q.user_name or q.user, q.user, q.by) .. '\0' ..
		part(q.fullname or q.shortname or q.course, q.shortname, q.course, id)
end

-- What a request spends its time on; nil: it has ended.
local function phase_of(r)
	if FINAL[r.state] then
		return nil
	elseif r.state == 'scheduled' then
		return 'queued'
	elseif r.state == 'exporting' then
		return r.step == 'upload' and 'upload' or 'export'
	elseif r.state == 'ready' then
		return 'wait'
	elseif r.state == 'importing' then
		return r.step == 'import' and 'import' or 'download'
	end
	return r.phase
end

-- Adds to `set` how long the phase that ends has taken, all attempts together.  ago: the one that
-- r is in now began that long (ms) before anybody told.
local function count_time(r, set, ago)
	local phase = phase_of(r)
	if phase == r.phase then
		return
	end
	local at = NOW - tonumber(ago or '0')
	if r.phase then
		local field, began = 'spent_' .. r.phase, tonumber(r.phase_at)
		at = math.max(at, began)
		set[field] = int(tonumber(r[field] or '0') + at - began)
	end
	set.phase, set.phase_at = phase or false, phase and int(at) or false
end

-- Write the fields of `set` (false: no longer there) and keep the state's indexes right.  ago: see
-- count_time.
local function save(r, set, ago)
	local before, site = r.state, r.site
	local put, del = {}, {}
	set.modified = int(NOW)
	for _, f in ipairs({'held', 'next_try'}) do -- whatever changes the state ends the waiting
		if set.state and set[f] == nil and r[f] then
			set[f] = false
		end
	end
	if set.state and (set.state ~= before or FINAL[set.state]) then -- failed may follow failed
		set.finished = FINAL[set.state] and int(NOW) or false
		if set.state ~= 'scheduled' and not r.started then
			set.started = int(NOW)
		end
	end
	if set.state == 'ready' or set.state == 'importing' then -- a worker may be sooner than the word "ready"
		set.archived = r.archived or int(NOW)
	elseif set.state and set.state ~= 'failed' then
		set.archived = false -- removed from the store, or another follows
	end
	if set.request then
		set.find = find_text(r.id, set.request)
	end
	for f, v in pairs(set) do
		r[f] = v or nil
	end
	count_time(r, set, ago)
	for f, v in pairs(set) do
		r[f] = v or nil
		if v then
			put[#put + 1] = f
			put[#put + 1] = v
		else
			del[#del + 1] = f
		end
	end
	redis.call('HSET', key(r.id), unpack(put))
	if #del > 0 then
		redis.call('HDEL', key(r.id), unpack(del))
	end
	if before and before ~= r.state then
		redis.call('ZREM', 'nv:idx:state:' .. before, r.id)
	end
	redis.call('ZADD', 'nv:idx:state:' .. r.state, r.created, r.id)
	-- A new revision is a new message, and stands behind those that wait already.
	if site and (site ~= r.site or r.state ~= 'scheduled') then
		redis.call('ZREM', waiting_key(site), r.id)
	end
	if r.state == 'scheduled' and (set.rev or before ~= r.state) then
		redis.call('ZADD', waiting_key(r.site), int(now_is[1] * 1000000 + now_is[2]), r.id)
	end
	redis.call('ZADD', MODIFIED, set.modified, r.id)
	-- What goes out again beside a message that is held (republish_held.lua) does so whatever that one says.
	local again = r.again == '1' and (r.state == 'scheduled' or r.state == 'ready')
	if not again and (r.state ~= 'scheduled' or r.published == '1') then
		redis.call('ZREM', UNPUBLISHED, r.id)
	end
end

-- A new record, scheduled.
local function make(q, published)
	local r = {id = q.id}
	save(r, {request = q.request, rev = q.rev, site = q.site, rcourse = q.rcourse,
		user = q.user, created = q.created, state = 'scheduled', failures = '0',
		published = published})
	for _, k in ipairs(indexes(r)) do
		redis.call('ZADD', k, r.created, r.id)
	end
	return r
end

-- One of its messages has waited for a clock for too long and was given up.  Was another copy sent since
-- (republish_held.lua), which goes on?
local function others_go_on(r)
	local copies = tonumber(r.copies or '0')
	if copies == 0 then
		return false
	end
	r.copies = copies > 1 and int(copies - 1) or nil
	redis.call('HSET', key(r.id), 'copies', int(copies - 1))
	return true
end

-- The record's request becomes q, a newer revision; all that was known of the older one goes.
local function adopt(r, q, published)
	local set = {request = q.request, rev = q.rev, site = q.site, rcourse = q.rcourse,
		user = q.user, state = 'scheduled', failures = '0', published = published}
	for _, f in ipairs({'attempt', 'seq', 'host', 'step', 'done', 'total', 'reason', 'message',
		'started', 'finished', 'last_token', 'unrouted', 'again', 'copies', 'phase', 'phase_at', 'spent_queued',
		'spent_export', 'spent_upload', 'spent_wait', 'spent_download', 'spent_import'}) do
		set[f] = false
	end
	for _, k in ipairs(indexes(r)) do
		redis.call('ZREM', k, r.id)
	end
	save(r, set)
	for _, k in ipairs(indexes(r)) do
		redis.call('ZADD', k, r.created, r.id)
	end
end

-- Out of every index.
local function unlist(r)
	for _, k in ipairs(indexes(r)) do
		redis.call('ZREM', k, r.id)
	end
	redis.call('ZREM', 'nv:idx:state:' .. r.state, r.id)
	redis.call('ZREM', waiting_key(r.site), r.id)
	redis.call('ZREM', UNPUBLISHED, r.id)
	redis.call('ZREM', MODIFIED, r.id)
end

-- The record with all that belongs to it.  Messages about it do not bring it back.
local function erase(r)
	unlist(r)
	redis.call('SET', forgotten_key(r.id), '', 'EX', LOG_DAYS * 86400)
	redis.call('DEL', key(r.id), log_key(r.id), logged_key(r.id), claim_key(r.id),
		ahead_key(r.id), ahead_key(r.id) .. ':ready', before_key(r.id))
end

-- A line of the request's log.
local function note(id, at, from, level, text)
	redis.call('XADD', log_key(id), 'MAXLEN', '=', LOG_LENGTH, '*', 'at', at, 'from', from, 'level',
		level, 'text', text)
end

local function remember(id, field, value)
	redis.call('HSET', logged_key(id), field, value)
	redis.call('EXPIRE', logged_key(id), LOG_DAYS * 86400)
end

-- The lines from ARGV[i] on: the number of the first, then at, level and text of each.  source (an
-- attempt, a worker's run) numbers its lines; those it has given before are left out.
local function note_lines(id, source, from, i)
	if not ARGV[i + 1] then
		return
	end
	local number = tonumber(ARGV[i])
	local given = tonumber(redis.call('HGET', logged_key(id), source) or '0')
	for k = i + 1, #ARGV, 3 do
		if number >= given then
			note(id, ARGV[k], from, ARGV[k + 1], ARGV[k + 2])
		end
		number = number + 1
	end
	if number > given then
		remember(id, source, int(number))
	end
end

-- The state, and why.  Whoever is held because another is at work tries again each second: that is
-- said once a minute.
local function note_state(r, from, held)
	if held or r.reason == 'busy' then
		local last = redis.call('HGET', logged_key(r.id), 'held')
		if last and NOW - tonumber(last) < 60000 then
			return
		end
		remember(r.id, 'held', int(NOW))
	end
	local text, level = r.state, 'info'
	if r.state == 'failed' then
		level = 'error'
	elseif r.reason and r.reason ~= 'busy' and r.reason ~= 'cancelled' then
		level = 'warn'
	end
	for _, f in ipairs({'reason', 'message'}) do
		if r[f] and r[f] ~= '' then
			text = text .. ': ' .. r[f]
		end
	end
	if r.next_try then
		text = text .. ' (next try in ' .. int((tonumber(r.next_try) - NOW) / 1000) .. ' s)'
	elseif r.held then
		text = text .. ' (held; no attempt is used up)'
	end
	if r.state == 'restored' and r.course then
		text = text .. ': course ' .. r.course
	elseif r.state == 'scheduled' and from == 'producer' then
		text = text .. ' (revision ' .. r.rev .. ')'
	elseif r.state == 'importing' or r.state == 'exporting' then
		text = text .. ' (attempt ' .. (r.attempt or '?') .. ', ' .. (r.failures or '0') ..
			' failed before)'
	end
	note(r.id, int(NOW), from, level, text)
end

-- Since when it is held for this reason; not where another attempt is at it: that is nobody's fault.
local function held_since(r, reason)
	if not reason or reason == '' or reason == 'busy' then
		return false
	end
	return r.held and r.reason == reason and r.held or int(NOW)
end

-- "archiver old.example.org"
local function who(role, host)
	return host and host ~= '' and role .. ' ' .. host or role
end

-- Tell the followers.  state nil: only progress.  What was told.
local function tell(r, state)
	local e = {'kind', 'request', 'id', r.id, 'rev', r.rev}
	for _, f in ipairs({'user', 'step', 'done', 'total', 'reason', 'message', 'next_try', 'held'}) do
		if r[f] and r[f] ~= '' then
			e[#e + 1] = f
			e[#e + 1] = r[f]
		end
	end
	if state then
		e[#e + 1] = 'state'
		e[#e + 1] = state
	end
	redis.call('XADD', EVENTS, 'MAXLEN', '~', LENGTH, '*', unpack(e))
	return e
end

-- Tell the followers; a final state also the notifiers.  from: who changed the state, for the log; nil:
-- the log has it already, or never had it.  held: see note_state.
local function emit(r, state, from, held)
	if state and from then
		note_state(r, from, held)
	end
	local e = tell(r, state)
	if state and FINAL[state] then
		redis.call('XADD', NOTICES, 'MAXLEN', '~', LENGTH, '*', unpack(e))
	end
end

-- Straight to the end where the table allows it: nobody works on it.
local function cancel(r, text)
	local to = may('p', r.state, 'cancelled') and 'cancelled' or 'cancelling'
	if not may('p', r.state, to) then
		return false
	end
	save(r, {state = to, reason = 'cancelled', message = text})
	emit(r, to, 'producer')
	return true
end

-- Who holds this course: a request, other than `but`, that is neither failed nor cancelled nor of
-- a deleted course.  Otherwise nil, and as second value the latest restored one.
local function holder(site, course, but)
	local latest
	for _, id in ipairs(redis.call('ZREVRANGE', course_key(site, course), 0, -1)) do
		local v = redis.call('HMGET', key(id), 'state', 'course_deleted')
		local s = v[1]
		if s and id ~= but then
			if s == 'restored' and v[2] == '1' then
				latest = latest or id
			elseif s ~= 'failed' and s ~= 'cancelled' then
				return id
			end
		end
	end
	return nil, latest
end

local function taken(id)
	return {'reject', 'already_restored',
		'the course was already restored or is being restored by request ' .. id, whole(id)}
end

local function not_found(id)
	return {'reject', 'not_found', 'no request ' .. id}
end

local function conflict(text)
	return {'reject', 'conflict', text}
end
