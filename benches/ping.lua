-- Pingbacks of 100,000 installations, as Kolibri 0.17 sends them, for wrk.
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

function init()
  math.randomseed(os.time() + seed)
end

function request()
  -- A prime spreads the numbers, so that neighbours in time are no neighbours in an index.
  local instance = math.random(0, 99999) * 2654435761
  return wrk.format("POST", "/api/v1/pingback", nil, string.format(body, instance))
end
