-- Grants requests out of quotas (GCRA). A key holds when its quota is whole again, in microseconds of this server's clock.
-- KEYS: the quotas. ARGV, three for each: requests of the quota, its window in microseconds, how many are wanted.
-- Answers two numbers for each: how many are granted, and in how many microseconds the quota is whole again.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local answer = {}
for i, key in ipairs(KEYS) do
    local requests, window, wanted = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
    local interval = window / requests
    local whole_in = math.max((tonumber(redis.call('GET', key)) or now) - now, 0)
    -- A hundredth of a request is forgiven, because numbers of this size are rounded.
    local granted = math.min(wanted, math.floor((window - whole_in) / interval + 0.01))
    if granted > 0 then
        whole_in = whole_in + granted * interval
        redis.call('SET', key, string.format('%.0f', now + whole_in), 'PX', math.ceil(whole_in / 1000))
    else
        granted = 0
    end
    answer[2 * i - 1], answer[2 * i] = granted, math.ceil(whole_in)
end
return answer
