--[[
  Reads a call of a session. Changes nothing.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with; '' for any
  ARGV[2]  id

  Returns {head, answer or '', idle time left of the session (ms)}, or nil when there is none.
]]
local key = KEYS[1]
local meta, id = ARGV[1], ARGV[2]

--- @include "../../sessions/scripts/includes/calls"

local session = redis.pcall('HMGET', key, 'meta', 'r:' .. id)
if session.err or not session[1] then return false end
if meta ~= '' and session[1] ~= meta then return false end
local call = find_call(key, id)
if not call then return false end
return {head_text(call), session[2] or '', redis.call('PTTL', key)}
