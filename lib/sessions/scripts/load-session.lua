--[[
  Loads a session for a request: restarts its idle TTL, and takes a call slot when the request is a call.
  Never makes a key.

  KEYS[1]   session
  ARGV[1]   idle TTL (s)
  ARGV[2]   now (ISO 8601)
  ARGV[3]   now (ms)
  ARGV[4]   hash of the token that the session must have; '' for any
  ARGV[5]   id of the call slot to take; '' for none
  ARGV[6]   how long the slot is held without being renewed (ms)
  ARGV[7]   how many slots the session has
  ARGV[8]   the call to begin for an idempotency key, as `<hash of the key> <digest of the request> <id> <lease>
            <lease (ms)> <how long it is kept (ms)> <most calls>`; '' for none
  ARGV[9…]  fields to read; the first two are `meta` and `credentials`

  Returns
    {'session', value of each field or nil …}; where a call was to begin, then '' when it has begun. Otherwise an
                               earlier call has the key: {id, head, answer or ''}, and no slot is taken
    {'busy'}                   all slots are taken
    {'full'}                   the session has as many calls as it may
    {'none'}                   no session, or one with another token
    {'other', what is there}   not a session; see includes/seen.lua
]]
--- @include "includes/arguments"
local key = KEYS[1]
local ttl_seconds, now, now_ms, token_hash = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local slot_id, slot_ms, most_slots = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local claim = ARGV[8]
local fields = arguments(9, #ARGV)

--- @include "includes/call-slots"
--- @include "includes/begin-call"
--- @include "includes/read-session"
--- @include "includes/restart-idle-ttl"

-- Before anything else is read: a wrong token is answered as fast as an unknown session.
if token_hash ~= '' and redis.pcall('HGET', key, 'token') ~= token_hash then return {'none'} end

fields[#fields + 1] = 'running'
fields[#fields + 1] = 'ends'
local values, no_session = read_session(key, fields)
if not values then return no_session end
local ends = table.remove(values)
local running = table.remove(values)

local changes = {'last_accessed', now}
local earlier = claim ~= '' and call_begun_before(key, claim)
local is_busy, is_full = false, false
if slot_id ~= '' and not earlier then
  local slots = taken_slots(running)
  is_busy = #slots >= most_slots
  if not is_busy then
    slots[#slots + 1] = new_slot(slot_id, slot_ms)
    changes[3], changes[4] = 'running', table.concat(slots, ' ')
  end
end
if claim ~= '' and not earlier and not is_busy then is_full = not begin_call(key, claim) end
if is_full then changes[3], changes[4] = nil, nil end
redis.call('HSET', key, unpack(changes))
restart_idle_ttl(key, ttl_seconds, ends, now_ms)

if is_busy then return {'busy'} end
if is_full then return {'full'} end
if claim ~= '' then values[#fields - 1] = earlier or '' end
table.insert(values, 1, 'session')
return values
