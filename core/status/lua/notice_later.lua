-- SPDX-License-Identifier: GPL-3.0-or-later
-- cursor, delay in ms, who was told already
-- In one step out of the stream and among those that wait, so that no crash loses it.
local entry = redis.call('XRANGE', NOTICES, ARGV[1], ARGV[1])[1]
if not entry then
	return {'ok'} -- another has dealt with it
end
local fields, old = {}, {tries = '0', first = entry[1]}
for i = 1, #entry[2], 2 do
	local name, value = entry[2][i], entry[2][i + 1]
	if name == 'tries' or name == 'first' then
		old[name] = value
	elseif name ~= 'told' then
		fields[#fields + 1] = name
		fields[#fields + 1] = value
	end
end
for name, value in pairs({tries = int(tonumber(old.tries) + 1), first = old.first, told = ARGV[3]}) do
	if value ~= '' then
		fields[#fields + 1] = name
		fields[#fields + 1] = value
	end
end
redis.call('ZADD', WAITING, int(NOW + tonumber(ARGV[2])), cjson.encode(fields))
redis.call('XACK', NOTICES, 'notifier', ARGV[1])
redis.call('XDEL', NOTICES, ARGV[1])
return {'ok'}
