-- SPDX-License-Identifier: GPL-3.0-or-later
-- most to give, done …
-- Archives of requests that were removed on somebody's request, each "<site>/<id>": those that are done
-- leave the set, some others are given.
for i = 2, #ARGV do
	redis.call('SREM', UNSTORE, ARGV[i])
end
return redis.call('SRANDMEMBER', UNSTORE, ARGV[1])
