-- SPDX-License-Identifier: GPL-3.0-or-later
-- id
if redis.call('EXISTS', key(ARGV[1])) == 0 then
	return not_found(ARGV[1])
end
return {'ok', whole(ARGV[1])}
