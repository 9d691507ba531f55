-- SPDX-License-Identifier: GPL-3.0-or-later
-- site, course …
local out = {0}
for i = 2, #ARGV do
	local holds, latest = holder(ARGV[1], ARGV[i])
	if holds or latest then
		out[#out + 1] = whole(holds or latest)
	end
end
out[1] = #out - 1
return out
