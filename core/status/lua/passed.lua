-- SPDX-License-Identifier: GPL-3.0-or-later
-- id
-- What it was held for has passed: it waits for its turn alone.
local r = load(ARGV[1])
if r and r.state == 'ready' and r.held then
	save(r, {reason = false, message = false, held = false})
	emit(r, r.state)
end
return {'ok'}
