--[[
  Reads fields of a session and changes nothing, not even its TTL.

  KEYS[1]   session
  ARGV[1…]  fields to read; the first two are `meta` and `credentials`

  Returns
    {'session', value of each field or nil …}
    {'none'}                   no session
    {'other', what is there}   not a session; see includes/seen.lua
]]
local key = KEYS[1]
local fields = ARGV

--- @include "includes/read-session"

local values, no_session = read_session(key, fields)
if not values then return no_session end
table.insert(values, 1, 'session')
return values
