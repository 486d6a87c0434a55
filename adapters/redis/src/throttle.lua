-- A try of the account KEYS[1]: whether it may begin, or what became of it.
-- ARGV: begin, failed or succeeded; free or only; then the numbers of the rule: the window, the
-- failure from which on there are waits, the first and the longest wait, how many failures are kept.
-- Times are in milliseconds. The answer: a word, and how long to wait.
-- The list has the time at which the next try is due, then those of the failures, oldest first.
local key, what, only = KEYS[1], ARGV[1], ARGV[2] == 'only'
local window, from = tonumber(ARGV[3]), tonumber(ARGV[4])
local first, longest, kept = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local state = redis.call('LRANGE', key, 0, -1)
local due = tonumber(state[1]) or 0
local newest = tonumber(state[#state])
if #state > 1 and newest > now then
  -- The clock was set back. A little: times still never go back. By more than a window: nothing of
  -- before can be told apart from what is to come.
  if newest - now > window then
    state = {}
  else
    now = newest
  end
end
local failures = {}
for index = 2, #state do
  local at = tonumber(state[index])
  if now - at < window then
    failures[#failures + 1] = at
  end
end

-- How long to wait between two tries; nil while they are free.
local function wait()
  if #failures >= from then
    return math.min(first * 2 ^ (#failures - from), longest)
  end
end

local function add()
  if #failures == kept then
    table.remove(failures, 1)
  end
  failures[#failures + 1] = now
  due = now + (wait() or 0)
end

local function save()
  redis.call('DEL', key)
  redis.call('RPUSH', key, due, unpack(failures))
  redis.call('PEXPIRE', key, window)
end

if what == 'begin' then
  if not wait() then
    return { 'free', 0 }
  end
  if now < due then
    return { 'wait', due - now }
  end
  -- It counts from now on, so that no other try gets it too, however long this one takes.
  add()
  save()
  return { 'only', 0 }
end

-- Of free tries at the same time, those that end when there are waits are not told.
if not only and wait() then
  return { 'wait', math.max(due - now, 0) }
end
if what == 'succeeded' then
  redis.call('DEL', key)
  return { 'as before', 0 }
end
if only then
  -- Counted when it began; the wait begins anew.
  due = now + (wait() or 0)
  if #failures > 0 then
    save()
  end
  return { 'as before', 0 }
end
add()
save()
return { wait() and 'slowed' or 'as before', 0 }
