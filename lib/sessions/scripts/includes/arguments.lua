--- The script's arguments from one position to another, as a list.
local function arguments (from, to)
  local list = {}
  for i = from, to do list[#list + 1] = ARGV[i] end
  return list
end
