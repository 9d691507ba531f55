-- SPDX-License-Identifier: GPL-3.0-or-later
-- id, token, lease in ms (0: no longer), archive.ready's envelope to be given to whoever is ahead
local id, token = ARGV[1], ARGV[2]
local mine = redis.call('GET', ahead_key(id))
if ARGV[4] ~= '' then
	if mine then
		redis.call('SET', ahead_key(id) .. ':ready', ARGV[4], 'PX', AHEAD_KEEP)
	end
	return {'ok', 'given'}
end
if mine and mine ~= token then
	return {'ok', 'other'}
end
local r = load(id)
local wanted = not r or (not FINAL[r.state] and r.state ~= 'cancelling' and r.state ~= 'importing')
if ARGV[3] == '0' or not wanted then
	redis.call('DEL', ahead_key(id), ahead_key(id) .. ':ready')
	return {'ok', 'other'}
end
redis.call('SET', ahead_key(id), token, 'PX', ARGV[3])
return {'ok', 'ours', redis.call('GET', ahead_key(id) .. ':ready') or ''}
