--- Bytes of the credentials, name included, as they are or as they are about to be written.
local function credentials_size (key, fields)
  for i = 1, #fields, 2 do
    if fields[i] == 'credentials' then return #fields[i] + #fields[i + 1] end
  end
  return #'credentials' + redis.call('HSTRLEN', key, 'credentials')
end

--[[
  Writes fields of a session, and those of its cached values that fit. A value that does not fit takes the older value
  of its name along, which is no longer true.

  `fields` is a list of names and texts in turn, and `values` one of names, texts and origins. An origin goes into a
  field beside the value. `bytes` is what the cached values take so far, names included; `most_bytes` bounds them and
  the credentials together, and `most_fields` all fields. Returns the field names of the values that did not fit.

  A script costs what it calls in Redis, not what it computes. So a value costs one call, and all that changes is set
  with one HSET.
]]
local function write_fields (key, fields, values, bytes, most_bytes, most_fields)
  local changes, left_out = fields, {}
  local count = 0
  if #values > 0 then
    most_bytes = most_bytes - credentials_size(key, fields)
    count = redis.call('HLEN', key) + #fields / 2
  end
  for i = 1, #values, 3 do
    local name, text, origin = values[i], values[i + 1], values[i + 2]
    local size = #name + #text
    local older = redis.call('HSTRLEN', key, name)
    if older > 0 then bytes = bytes - #name - older end
    if bytes + size <= most_bytes and (older > 0 or count < most_fields) then
      if older == 0 then count = count + (origin ~= '' and 2 or 1) end
      changes[#changes + 1] = name
      changes[#changes + 1] = text
      if origin ~= '' then
        changes[#changes + 1] = 'o:' .. name
        changes[#changes + 1] = origin
      end
      bytes = bytes + size
    else
      if older > 0 then count = count - redis.call('HDEL', key, name, 'o:' .. name) end
      left_out[#left_out + 1] = name
    end
  end
  changes[#changes + 1] = 'bytes'
  changes[#changes + 1] = string.format('%.0f', math.max(bytes, 0))
  -- In portions, because Lua bounds what unpack can take.
  for from = 1, #changes, 1000 do
    redis.call('HSET', key, unpack(changes, from, math.min(from + 999, #changes)))
  end
  return left_out
end
