--- @include "seen"

--[[
  Reads fields of a session with one command, whose error or gaps also show that there is no session.
  The first two fields must be `meta` and `credentials`, which every session has.

  Returns the values of the fields, false where one is absent. Without a session it returns nil and the script's reply:
  {'none'}, or {'other', what is there}.
]]
local function read_session (key, fields)
  local values = redis.pcall('HMGET', key, unpack(fields))
  if not values.err and values[1] and values[2] then return values end
  local there = seen(key)
  if there == '' then return nil, {'none'} end
  return nil, {'other', there}
end
