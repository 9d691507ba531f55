-- SPDX-License-Identifier: GPL-3.0-or-later
-- id of a digest
-- Answers how many it has, since when (ms), reasons with their numbers, the most frequent first, and the
-- first rows.  What fails from now on goes into another one: this one reads the same each time.
local OPEN = 'nv:digest:open'
local all = redis.call('HGETALL', 'nv:digest:' .. ARGV[1])
if #all == 0 then
	return {'reject', 'not_found', 'no digest ' .. ARGV[1]}
end
if redis.call('GET', OPEN) == ARGV[1] then
	redis.call('DEL', OPEN)
end
local plain, reasons, rows = {}, {}, {}
for i = 1, #all, 2 do
	local kind, rest = string.match(all[i], '^(%a+):(.*)$')
	if kind == 'reason' then
		reasons[#reasons + 1] = {rest, tonumber(all[i + 1])}
	elseif kind == 'row' then
		rows[tonumber(rest)] = cjson.decode(all[i + 1])
	else
		plain[all[i]] = all[i + 1]
	end
end
table.sort(reasons, function(a, b)
	return a[2] > b[2] or a[2] == b[2] and a[1] < b[1]
end)
local counts = {}
for _, r in ipairs(reasons) do
	counts[#counts + 1] = r[1]
	counts[#counts + 1] = int(r[2])
end
return {'ok', plain.total, plain.since, counts, rows}
