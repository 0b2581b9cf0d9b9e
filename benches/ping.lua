-- Pingbacks as Kolibri 0.17 sends them, for wrk: of 100,000 installations again and again, or, with the argument `once`, of another
-- installation each time, numbered from the second argument on.
local body = '{"database_id": "bf408e8b42334389b647ac73bd92a11d", "installer": "Unknown", "instance_id": "%032x", '
  .. '"language": "sw-tz", "mode": "", "node_id": "b73276a4ac78cc176201", '
  .. '"platform": "Linux-6.1.0-18-amd64-x86_64-with-glibc2.36", "project": "", "system_id": "4ebf63602f0e9a85980f", '
  .. '"sysversion": "3.11.7 (main, May  9 2026, 07:35:25) [GCC 12.2.0]", "timestamp": "2026-11-23T19:48:38.200Z", '
  .. '"timezone": "Etc/UTC", "uptime": 0, "version": "0.17.5"}'

local threads = 0

function setup(thread)
  thread:set("seed", threads)
  threads = threads + 1
end

function init(args)
  math.randomseed(os.time() + seed)
  next_number = args[1] == "once" and tonumber(args[2])
end

function request()
  local number
  if next_number then
    number = next_number
    next_number = next_number + 1
  else
    number = math.random(0, 99999)
  end
  -- A prime spreads the numbers, so that neighbours in time are no neighbours in an index.
  local instance = number * 2654435761 % 4294967296
  return wrk.format("POST", "/api/v1/pingback", nil, string.format(body, instance))
end
