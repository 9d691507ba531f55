-- SPDX-License-Identifier: GPL-3.0-or-later
-- id, by
local SILENCE = 600000 -- ms after which a second cancel ends what nobody works on any more
local r = load(ARGV[1])
if not r then
	return not_found(ARGV[1])
end
if FINAL[r.state] then
	return conflict('request ' .. r.id .. ' is ' .. r.state)
end
if r.state == 'cancelling' and
	(NOW - tonumber(r.modified) < SILENCE or redis.call('EXISTS', claim_key(r.id)) == 1) then
	return {'ok', whole(r.id)}
end
local text = 'the request was cancelled'
if ARGV[2] ~= '' then
	text = text .. ' by ' .. ARGV[2]
end
if not cancel(r, text) then
	return conflict('request ' .. r.id .. ' is ' .. r.state)
end
return {'ok', whole(r.id)}
