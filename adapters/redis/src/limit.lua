-- One request of KEYS[1]: whether it is allowed, how many more would be, and how many milliseconds
-- until the oldest leaves the window. ARGV: the window in milliseconds, the requests in it.
-- The list has the times of the requests that count, oldest first.
local key, window, requests = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local newest = tonumber(redis.call('LINDEX', key, -1))
if newest and newest > now then
  -- The clock was set back. A little: the times in the list still never go back. By more than a
  -- window: else they would count for as long as the clock takes to come there again.
  if newest - now > window then
    redis.call('DEL', key)
  else
    now = newest
  end
end

local oldest = tonumber(redis.call('LINDEX', key, 0))
while oldest and now - oldest >= window do
  redis.call('LPOP', key)
  oldest = tonumber(redis.call('LINDEX', key, 0))
end

local count = redis.call('LLEN', key)
local allowed = count < requests
if allowed then
  redis.call('RPUSH', key, now)
  redis.call('PEXPIRE', key, window)
  count = count + 1
end
return { allowed and 1 or 0, math.max(requests - count, 0), window - (now - (oldest or now)) }
