-- SPDX-License-Identifier: GPL-3.0-or-later
-- id, token, lease in ms, step, done, total, how long the import has been going on in ms
local id = ARGV[1]
if redis.call('GET', claim_key(id)) ~= ARGV[2] then
	return {'ok', 'lost'}
end
local r = load(id)
if not r or (r.state ~= 'importing' and r.state ~= 'cancelling') then
	redis.call('DEL', claim_key(id))
	return {'ok', 'lost'}
end
redis.call('PEXPIRE', claim_key(id), ARGV[3])
local step = ARGV[4] ~= '' and ARGV[4] or nil
if r.step ~= step or (r.done or '0') ~= ARGV[5] or (r.total or '0') ~= ARGV[6] then
	save(r, {step = step or false, done = ARGV[5], total = ARGV[6]}, ARGV[7])
	emit(r, nil)
end
return {'ok', r.state == 'cancelling' and 'cancelling' or 'ours'}
