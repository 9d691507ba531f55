-- SPDX-License-Identifier: GPL-3.0-or-later
-- id, revision, cancelled, id, revision, cancelled, …
-- A producer has withdrawn these revisions and those before them, and this Redis may not know it any
-- more.  What a message has brought back meanwhile is cancelled again; where a newer revision was wanted
-- (cancelled 0), that one's message makes the record right.
for i = 1, #ARGV, 3 do
	local id, rev, cancelled = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2] == '1'
	-- Of the same revision a change counts more than a cancel: the request was asked for again.
	if not is_withdrawn(id, rev + (cancelled and 0 or 1)) then
		redis.call('SET', withdrawn_key(id), int(rev) .. (cancelled and 'c' or ''), 'EX', LOG_DAYS * 86400)
	end
	local r = cancelled and load(id)
	if r and tonumber(r.rev) <= rev and not FINAL[r.state] and r.state ~= 'cancelling' then
		cancel(r, 'the request was cancelled; the status database had lost that')
	end
end
return {'ok'}
