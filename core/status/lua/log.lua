-- SPDX-License-Identifier: GPL-3.0-or-later
-- id, source, from, lines for the log (see note_lines)
-- Nobody needs a claim for it: what an attempt saw stays true when it has lost its claim.
local id = ARGV[1]
if redis.call('EXISTS', key(id)) == 0 then
	return not_found(id)
end
note_lines(id, ARGV[2], ARGV[3], 4)
return {'ok'}
