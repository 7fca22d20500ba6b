--- @include "call-slots"

--[[
  Calls: what a session keeps of a tool call that is waited for, repeated, or goes on later. Each call has the fields
    c:<id>   its head, eleven words: see `head_names`; `-` for none
    d:<id>   what it needs to begin or to go on, sealed; absent when it needs nothing
    r:<id>   its answer, sealed; absent when there is none
    t:<id>   the task of its server that it is run as, sealed; absent when another worker could not ask for it
    k:<key>  the id of the call that was made with an idempotency key, by the key's hash
  The field `call_ids` has `<id> <expires, ms> <bytes of d and r>` of each, oldest first.

  Times are milliseconds of Redis's own clock. A call that works has a lease. One whose lease has lapsed is unknown:
  its worker died, and whether its tool has acted nobody can say. So it is never made again. One that has a task still
  works, since another worker goes on with it.
]]

local head_names = {
  'state', 'kind', 'round', 'created', 'expires', 'lapses', 'lease', 'digest', 'key', 'cancel', 'answer'
}

--- How many expired calls one script removes: Redis serves nobody else meanwhile.
local most_expired = 100

local function milliseconds (number)
  return string.format('%.0f', number)
end

--- A call with its state as it is now. `written` is the state that was written, which may have lapsed since.
local function parse_head (text)
  local call, position = {}, 0
  for word in string.gmatch(text, '%S+') do
    position = position + 1
    call[head_names[position]] = word
  end
  call.written = call.state
  if call.state == 'working' and tonumber(call.lapses) <= slot_now() then call.state = 'unknown' end
  return call
end

local function head_text (call)
  local words = {}
  for position, name in ipairs(head_names) do words[position] = call[name] end
  return table.concat(words, ' ')
end

local function has_expired (call)
  return call.state ~= 'working' and tonumber(call.expires) <= slot_now()
end

--- Whether another worker goes on with a call whose lease has lapsed.
local function goes_on (key, id, call)
  return call.written == 'working' and tonumber(call.expires) > slot_now() and redis.call('HSTRLEN', key, 't:' .. id) > 0
end

--- A call that has not expired; nil for none.
local function find_call (key, id)
  local text = redis.call('HGET', key, 'c:' .. id)
  if not text then return nil end
  local call = parse_head(text)
  if call.state ~= call.written and goes_on(key, id, call) then call.state = 'working' end
  if has_expired(call) then return nil end
  return call
end

--- Writes the head of a call as it was changed. A lapsed call is written as what it is.
local function write_head (key, id, call)
  redis.call('HSET', key, 'c:' .. id, head_text(call))
end

--- The session's calls, oldest first.
local function read_index (key)
  local index = {}
  for id, expires, bytes in string.gmatch(redis.call('HGET', key, 'call_ids') or '', '(%S+) (%d+) (%d+)') do
    index[#index + 1] = {id = id, expires = tonumber(expires), bytes = tonumber(bytes)}
  end
  return index
end

local function write_index (key, index)
  if #index == 0 then return redis.call('HDEL', key, 'call_ids') end
  local words = {}
  for position, entry in ipairs(index) do
    words[position] = entry.id .. ' ' .. milliseconds(entry.expires) .. ' ' .. milliseconds(entry.bytes)
  end
  redis.call('HSET', key, 'call_ids', table.concat(words, ' '))
end

local function remove_key (key, id, call)
  local key_field = 'k:' .. call.key
  if call.key ~= '-' and redis.call('HGET', key, key_field) == id then redis.call('HDEL', key, key_field) end
end

--- Lets another call have the idempotency key of a call that stays.
local function free_key (key, id, call)
  remove_key(key, id, call)
  call.key = '-'
  write_head(key, id, call)
end

--- Removes the fields of a call. Its entry in the index is the caller's.
local function remove_fields (key, id)
  local text = redis.call('HGET', key, 'c:' .. id)
  redis.call('HDEL', key, 'c:' .. id, 'd:' .. id, 'r:' .. id, 't:' .. id)
  if text then remove_key(key, id, parse_head(text)) end
end

--- The index without the calls that have expired, a bounded number of them, which are removed.
local function without_expired (key, index)
  local left, removed = {}, 0
  for _, entry in ipairs(index) do
    local is_over = false
    if entry.expires <= slot_now() and removed < most_expired then
      is_over = not find_call(key, entry.id)
    end
    if is_over then
      removed = removed + 1
      remove_fields(key, entry.id)
    else
      left[#left + 1] = entry
    end
  end
  return left
end

local function without_entry (index, id)
  local left = {}
  for _, entry in ipairs(index) do
    if entry.id ~= id then left[#left + 1] = entry end
  end
  return left
end

local function bytes_of (index)
  local bytes = 0
  for _, entry in ipairs(index) do bytes = bytes + entry.bytes end
  return bytes
end

--[[
  Makes room for so many bytes, oldest first. A call that is over loses its answer and stays, so that it is not made
  again. A question that nobody asked about by a key is removed. Returns the index, and whether there is room.
]]
local function make_room (key, index, bytes, most_bytes, except)
  if bytes > most_bytes then return index, false end
  local taken = bytes_of(index)
  for _, entry in ipairs(index) do
    if taken + bytes <= most_bytes then break end
    local call = entry.id ~= except and entry.bytes > 0 and find_call(key, entry.id)
    if call and call.state == 'input_required' and call.key == '-' then
      remove_fields(key, entry.id)
      taken = taken - entry.bytes
      index = without_entry(index, entry.id)
    elseif call and call.state ~= 'working' and call.state ~= 'queued' and call.state ~= 'input_required' then
      redis.call('HDEL', key, 'd:' .. entry.id, 'r:' .. entry.id)
      call.answer = 'lost'
      write_head(key, entry.id, call)
      taken = taken - entry.bytes
      entry.bytes = 0
    end
  end
  return index, taken + bytes <= most_bytes
end

--- Removes calls that have expired. Returns the index, and whether it has a place for one more.
local function make_place (key, index, most_calls)
  index = without_expired(key, index)
  return index, #index < most_calls
end

--- The call of an idempotency key, and its id; nil when there is none.
local function call_of_key (key, key_hash)
  local id = redis.call('HGET', key, 'k:' .. key_hash)
  if not id then return nil end
  return find_call(key, id), id
end

--- What an earlier call with the same key comes to: its id, its head and its answer, or '' without one.
local function earlier_call (key, id, call)
  return {id, head_text(call), redis.call('HGET', key, 'r:' .. id) or ''}
end

--- A new call, whose entry is already in the index.
local function create_call (key, id, call)
  call.created = milliseconds(slot_now())
  call.cancel, call.answer = '-', call.answer or '-'
  write_head(key, id, call)
  if call.key ~= '-' then redis.call('HSET', key, 'k:' .. call.key, id) end
end

--[[
  Ends a call, or lets it wait for responses: writes its state, and its data and answer as far as they fit. '' for
  none. A finished call is kept for so long from now, and never for less than it was to be.

  `lease` must be the call's. A lapsed lease ends its call all the same: nobody else can have begun it again.
  Returns the call, unchanged when it was to wait and its data do not fit, or nil when it is another's or over.
]]
local function settle_call (key, id, lease, state, ttl_ms, data, answer, most_bytes)
  local text = redis.call('HGET', key, 'c:' .. id)
  local call = text and parse_head(text)
  if not call or call.lease ~= lease then return nil end
  if call.written ~= 'working' then return nil end

  local index = read_index(key)
  local entry
  for _, candidate in ipairs(index) do
    if candidate.id == id then entry = candidate end
  end
  if not entry then return nil end
  entry.bytes = 0
  local fits
  index, fits = make_room(key, index, #data + #answer, most_bytes, id)
  -- A question without what it needs to go on can never go on.
  if state == 'input_required' and not fits then
    write_index(key, index)
    return call
  end
  redis.call('HDEL', key, 'd:' .. id, 'r:' .. id, 't:' .. id)
  call.answer = '-'
  if fits then
    if data ~= '' then redis.call('HSET', key, 'd:' .. id, data) end
    if answer ~= '' then redis.call('HSET', key, 'r:' .. id, answer) end
    if answer ~= '' then call.answer = 'kept' end
    entry.bytes = #data + #answer
  else
    call.answer = 'lost'
  end
  call.state, call.lapses, call.cancel = state, '0', '-'
  if state == 'input_required' then call.round = milliseconds(tonumber(call.round) + 1) end
  local expires = math.max(tonumber(call.expires), slot_now() + tonumber(ttl_ms))
  call.expires, entry.expires = milliseconds(expires), expires
  write_head(key, id, call)
  write_index(key, index)
  return call
end
