-- SPDX-License-Identifier: GPL-3.0-or-later
-- id, rev, reason, message, who says it
-- The message that is next about this request waits for what passes by itself; its state stays as it is.
local r = load(ARGV[1])
if not r or r.rev ~= ARGV[2] or (r.state ~= 'scheduled' and r.state ~= 'exporting' and r.state ~= 'ready') then
	return {'ok'}
end
local news = r.reason ~= ARGV[3]
save(r, {reason = ARGV[3], message = ARGV[4], held = held_since(r, ARGV[3])})
if news then
	emit(r, r.state, ARGV[5])
end
return {'ok'}
