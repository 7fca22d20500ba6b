--[[
  Opens a call: one that waits for a worker, or for responses. Leaves the session's TTL alone.

  A question that nobody asked about by a key makes room for a newer one, since a caller who never responds leaves its
  call behind.

  KEYS[1]   session
  ARGV[1]   `meta` that the session was loaded with
  ARGV[2]   id
  ARGV[3]   state: `queued` or `input_required`
  ARGV[4]   kind: `tool`, `resource` or `prompt`
  ARGV[5]   how long it is kept (ms)
  ARGV[6]   hash of its idempotency key; `-` for none
  ARGV[7]   digest of its request; `-` for none
  ARGV[8]   what it needs to begin or to go on
  ARGV[9]   its answer; '' for none
  ARGV[10]  most calls
  ARGV[11]  most calls that wait for responses
  ARGV[12]  most bytes of all calls

  Returns
    {'opened', head}
    {'earlier', id, head, answer or ''}  another call has the key
    {'full'}                             the session has as many calls as it may
    {'large'}                            the call is larger than all may be together
    nil                                  the session is gone
]]
local key = KEYS[1]
local meta, id, state, kind, ttl_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local key_hash, digest, data, answer = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local most_calls, most_waiting, most_bytes = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])

--- @include "../../sessions/scripts/includes/calls"

local session = redis.pcall('HMGET', key, 'meta')
if session.err or session[1] ~= meta then return false end

if key_hash ~= '-' then
  local earlier, earlier_id = call_of_key(key, key_hash)
  if earlier then
    local reply = earlier_call(key, earlier_id, earlier)
    table.insert(reply, 1, 'earlier')
    return reply
  end
end

local index = without_expired(key, read_index(key))
if state == 'input_required' then
  local waiting = {}
  for _, entry in ipairs(index) do
    local call = find_call(key, entry.id)
    if call and call.state == 'input_required' and call.key == '-' then waiting[#waiting + 1] = entry.id end
  end
  while #waiting > 0 and (#waiting >= most_waiting or #index >= most_calls) do
    local oldest = table.remove(waiting, 1)
    remove_fields(key, oldest)
    index = without_entry(index, oldest)
  end
end
if #index >= most_calls then
  write_index(key, index)
  return {'full'}
end
local fits
index, fits = make_room(key, index, #data + #answer, most_bytes, id)
if not fits then
  write_index(key, index)
  return {'large'}
end

local expires = slot_now() + ttl_ms
index[#index + 1] = {id = id, expires = expires, bytes = #data + #answer}
local call = {
  state = state, kind = kind, round = state == 'input_required' and '1' or '0', expires = milliseconds(expires),
  lapses = '0', lease = '-', digest = digest, key = key_hash, answer = answer ~= '' and 'kept' or '-'
}
create_call(key, id, call)
if data ~= '' then redis.call('HSET', key, 'd:' .. id, data) end
if answer ~= '' then redis.call('HSET', key, 'r:' .. id, answer) end
write_index(key, index)
return {'opened', head_text(call)}
