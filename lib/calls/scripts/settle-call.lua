--[[
  Ends a call that works, or lets it wait for responses. `released` removes it: its tool has not acted, and the call may
  be made again. `queued` gives it back: its tool has not acted, and another worker may begin it, unless it was cancelled
  meanwhile. Leaves the session's TTL alone.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with
  ARGV[2]  id
  ARGV[3]  its lease
  ARGV[4]  its next state, or `released`
  ARGV[5]  how long it is kept (ms)
  ARGV[6]  what it needs to go on; '' for nothing
  ARGV[7]  its answer; '' for none
  ARGV[8]  most bytes of all calls
  ARGV[9]  `free` lets another call have its idempotency key, since its tool has not acted; ''

  Returns the head of the call, unchanged when it was to wait and its data do not fit, '' when it was removed, or nil
  when it is another's, over, or gone.
]]
local key = KEYS[1]
local meta, id, lease, state, ttl_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local data, answer, most_bytes, frees_key = ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9] == 'free'

--- @include "../../sessions/scripts/includes/calls"

local session = redis.pcall('HMGET', key, 'meta', 'c:' .. id)
if session.err or session[1] ~= meta or not session[2] then return false end

if state == 'released' or state == 'queued' then
  local call = parse_head(session[2])
  if call.lease ~= lease or call.written ~= 'working' then return false end
  if state == 'queued' and call.cancel == '-' then
    call.state, call.lease, call.lapses = 'queued', '-', '0'
    write_head(key, id, call)
    return head_text(call)
  end
  if state == 'queued' then
    call = settle_call(key, id, lease, 'cancelled', ttl_ms, '', '', most_bytes)
    return call and head_text(call) or false
  end
  remove_fields(key, id)
  write_index(key, without_entry(read_index(key), id))
  return ''
end
local call = settle_call(key, id, lease, state, ttl_ms, data, answer, most_bytes)
if not call then return false end
if frees_key then free_key(key, id, call) end
return head_text(call)
