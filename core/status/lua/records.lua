-- SPDX-License-Identifier: GPL-3.0-or-later
-- total, id …: {total, record …} of those that are still there.
local out = {tonumber(ARGV[1])}
for i = 2, #ARGV do
	local fields = whole(ARGV[i])
	if #fields > 0 then
		out[#out + 1] = fields
	end
end
return out
