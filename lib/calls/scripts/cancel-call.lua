--[[
  Cancels a call: one that has not begun or that waits for responses at once, one that works by a mark that its worker
  sees. A call that is over stays as it is. Leaves the session's TTL alone.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with
  ARGV[2]  id

  Returns {head, whether the call was cancelled by this (0 or 1)}, or nil when there is none.
]]
local key = KEYS[1]
local meta, id = ARGV[1], ARGV[2]

--- @include "../../sessions/scripts/includes/calls"

local session = redis.pcall('HMGET', key, 'meta')
if session.err or session[1] ~= meta then return false end
local call = find_call(key, id)
if not call then return false end

if call.state == 'queued' or call.state == 'input_required' then
  redis.call('HDEL', key, 'd:' .. id, 'r:' .. id)
  call.state, call.answer = 'cancelled', '-'
  write_head(key, id, call)
  local index = read_index(key)
  for _, entry in ipairs(index) do
    if entry.id == id then entry.bytes = 0 end
  end
  write_index(key, index)
  return {head_text(call), 1}
end
if call.state == 'working' then
  call.cancel = 'cancel'
  write_head(key, id, call)
  return {head_text(call), 1}
end
return {head_text(call), 0}
