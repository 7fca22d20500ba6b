--[[
  What is at a key, as a text that stays the same as long as the session there does:
  '' for nothing, `hash:<meta>`, `string:<value>`, or the name of any other type.
]]
local function seen (key)
  local kind = redis.call('TYPE', key).ok
  if kind == 'none' then return '' end
  if kind == 'string' then return 'string:' .. redis.call('GET', key) end
  if kind == 'hash' then return 'hash:' .. (redis.call('HGET', key, 'meta') or '') end
  return kind
end
