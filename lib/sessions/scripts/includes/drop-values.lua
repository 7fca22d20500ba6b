--[[
  Removes cached values with their origins, those of the names that there are.

  `bytes` is what all cached values take, names included. Returns what is left of it.
]]
local function drop_values (key, names, bytes)
  for _, name in ipairs(names) do
    local size = redis.call('HSTRLEN', key, name)
    if size > 0 then
      redis.call('HDEL', key, name, 'o:' .. name)
      bytes = bytes - #name - size
    end
  end
  return bytes
end
