-- What an index in Redis does on the server: each call is one script, so all of it happens or nothing, and nobody sees half.
-- KEYS[1] is the index; all its other keys begin with that, hash tag included. docs/reference/format.md shows them.
-- ARGV: the command, a token by which a repeated write is known (empty for reads), the checksum of the parameters that the index was
-- opened with, then what the command takes.

local home = KEYS[1]
local LOAD = 96                        -- entries to a block of each band, before one more block is made
local CROWD = 64                       -- postings of one fingerprint in a block, before they move to a set of their own
local RECORD = 9                       -- a posting: fingerprint (4), number of the entry (5)
local MARK = '\255\255\255\255\255'    -- instead of the number: they are in a set of their own
local EACH = 512                       -- entries to a hash
local FIRST = 21                       -- where the fingerprints begin: after set hash (8), checksum (8), size (4)
local call, sub, find = redis.call, string.sub, string.find

local state = call('HMGET', home, 'blocks', 'bands', 'sum')
local blocks, bands = tonumber(state[1]) or 1, tonumber(state[2])

-- ---- numbers of 64 bits, as two halves --------------------------------------------------------------------------------

local function xor(a, b) return bit.bxor(a, b) % 4294967296 end

local function times(high, low, c3, c2, c1, c0)
    local a0, a1, a2, a3 = low % 65536, math.floor(low / 65536), high % 65536, math.floor(high / 65536)
    local r0 = a0 * c0
    local r1 = a0 * c1 + a1 * c0 + math.floor(r0 / 65536)
    local r2 = a0 * c2 + a1 * c1 + a2 * c0 + math.floor(r1 / 65536)
    local r3 = a0 * c3 + a1 * c2 + a2 * c1 + a3 * c0 + math.floor(r2 / 65536)
    return (r3 % 65536) * 65536 + r2 % 65536, (r1 % 65536) * 65536 + r0 % 65536
end

-- mix64(set hash ^ band), the first byte the highest: bytes compare as the numbers do
local function priority(content, band)
    local low, high = struct.unpack('<I4I4', content)
    low = xor(low, band)
    low = xor(low, math.floor(high / 2))
    high, low = times(high, low, 0xFF51, 0xAFD7, 0xED55, 0x8CCD)
    low = xor(low, math.floor(high / 2))
    high, low = times(high, low, 0xC4CE, 0xB9FE, 0x1A85, 0xEC53)
    low = xor(low, math.floor(high / 2))
    return struct.pack('>I4I4', high, low)
end

-- ---- blocks of postings -----------------------------------------------------------------------------------------------

local double = 1                       -- the power of two that is not below the number of blocks
while double < blocks do double = double * 2 end

local function block_of(fingerprint)
    local value = struct.unpack('<I4', fingerprint)
    local place = value % double
    if place >= blocks then place = value % (double / 2) end
    return place
end

local function block_key(band, block) return home .. ':b:' .. band .. ':' .. block end
local function crowd_key(band, fingerprint) return home .. ':c:' .. band .. ':' .. fingerprint end

-- the numbers of the entries of a fingerprint in a block
local function members(block, fingerprint)
    local found, at = {}, 1
    while true do
        local i = find(block, fingerprint, at, true)
        if not i then return found end
        if (i - 1) % RECORD == 0 then
            found[#found + 1] = sub(block, i + 4, i + 8)
            at = i + RECORD
        else
            at = i + 1
        end
    end
end

-- where a record is in a block
local function place_of(block, record)
    local i = find(block, record, 1, true)
    while i and (i - 1) % RECORD ~= 0 do i = find(block, record, i + 1, true) end
    return i
end

local function entry_key(number)
    local n = struct.unpack('>I5', number)
    return home .. ':e:' .. math.floor(n / EACH), n % EACH
end

-- the member that an entry with one document has ('' where a set holds several), and the content
local function entry(number)
    local value = call('HGET', entry_key(number))
    if not value then return nil end
    local length = struct.unpack('>I4', value)
    return sub(value, 5, 4 + length), sub(value, 5 + length)
end

local function put(number, member, content)
    local key, field = entry_key(number)
    call('HSET', key, field, struct.pack('>I4', #member) .. member .. content)
end

local function fingerprint_of(content, band) return sub(content, FIRST + 4 * band, FIRST + 3 + 4 * band) end
local function is_empty(content) return sub(content, 17, 20) == '\0\0\0\0' end

local function post(band, fingerprint, number, content)
    local key = block_key(band, block_of(fingerprint))
    local block = call('GET', key) or ''
    local there = members(block, fingerprint)
    if there[1] == MARK then
        call('ZADD', crowd_key(band, fingerprint), 0, priority(content, band) .. number)
        return
    end
    if #there < CROWD then
        call('SET', key, block .. fingerprint .. number)
        return
    end
    local crowd = crowd_key(band, fingerprint)
    call('ZADD', crowd, 0, priority(content, band) .. number)
    for _, other in ipairs(there) do
        local _, theirs = entry(other)
        if theirs then call('ZADD', crowd, 0, priority(theirs, band) .. other) end
        local i = place_of(block, fingerprint .. other)
        block = sub(block, 1, i - 1) .. sub(block, i + RECORD)
    end
    call('SET', key, block .. fingerprint .. MARK)
end

local function unpost(band, fingerprint, number, content)
    local key = block_key(band, block_of(fingerprint))
    local block, record = call('GET', key) or '', fingerprint .. number
    local i = place_of(block, record)
    if not i then
        local crowd = crowd_key(band, fingerprint)
        call('ZREM', crowd, priority(content, band) .. number)
        if call('EXISTS', crowd) == 1 then return end
        i = place_of(block, fingerprint .. MARK)
    end
    if not i then return end
    block = sub(block, 1, i - 1) .. sub(block, i + RECORD)
    if block == '' then call('DEL', key) else call('SET', key, block) end
end

-- one more block: the postings that belong there leave the one that held them
local function grow()
    local half = 1
    while half * 2 <= blocks do half = half * 2 end
    local new, from = blocks, blocks - half
    blocks = blocks + 1
    if double < blocks then double = double * 2 end
    for band = 0, bands - 1 do
        local block = call('GET', block_key(band, from))
        if block then
            local stay, go = {}, {}
            for i = 1, #block, RECORD do
                local to = block_of(sub(block, i, i + 3)) == from and stay or go
                to[#to + 1] = sub(block, i, i + RECORD - 1)
            end
            if #go > 0 then
                call('SET', block_key(band, new), table.concat(go))
                if #stay > 0 then call('SET', block_key(band, from), table.concat(stay)) else call('DEL', block_key(band, from)) end
            end
        end
    end
    call('HSET', home, 'blocks', blocks)
end

-- ---- entries and documents --------------------------------------------------------------------------------------------

-- the numbers of the entries in one bucket, of a crowd the first limit + 1
local function bucket(band, fingerprint, limit, met)
    local there = members(call('GET', block_key(band, block_of(fingerprint))) or '', fingerprint)
    if there[1] ~= MARK then
        for _, number in ipairs(there) do met[number] = true end
        return false
    end
    for _, member in ipairs(call('ZRANGE', crowd_key(band, fingerprint), 0, limit)) do met[sub(member, 9)] = true end
    return true
end

local function own(band, fingerprint, content_or_hash, met)
    local first = priority(content_or_hash, band)
    for _, member in ipairs(call('ZRANGEBYLEX', crowd_key(band, fingerprint), '[' .. first, '[' .. first .. MARK)) do
        met[sub(member, 9)] = true
    end
end

-- all that a document of this set hash and these fingerprints may match
local function gather(set_hash, fingerprints, limit, met)
    for band = 0, bands - 1 do
        local fingerprint = sub(fingerprints, 1 + 4 * band, 4 + 4 * band)
        local crowded = bucket(band, fingerprint, limit, met)
        if crowded and band == 0 then own(band, fingerprint, set_hash, met) end
    end
end

local function documents(number, member)
    if member ~= '' then return { member } end
    return call('SMEMBERS', home .. ':m:' .. struct.unpack('>I5', number))
end

local function listed(met)
    local reply = {}
    for number in pairs(met) do
        local member, content = entry(number)
        if content then
            reply[#reply + 1] = number
            reply[#reply + 1] = content
            reply[#reply + 1] = documents(number, member)
        end
    end
    return reply
end

-- the entry of just this content
local function same(content)
    if is_empty(content) then return nil end
    local met, fingerprint = {}, fingerprint_of(content, 0)
    if bucket(0, fingerprint, 0, met) then own(0, fingerprint, content, met) end
    for number in pairs(met) do
        local member, theirs = entry(number)
        if theirs == content then return number, member end
    end
end

local function add(id, content)
    local order = struct.pack('>I6', call('HINCRBY', home, 'order', 1))
    local number, member = same(content)
    if number then
        local set = home .. ':m:' .. struct.unpack('>I5', number)
        if member ~= '' then
            call('SADD', set, member)
            put(number, '', content)
        end
        call('SADD', set, order .. id)
    else
        local next = call('HINCRBY', home, 'entries', 1)
        number = struct.pack('>I5', next)
        put(number, order .. id, content)
        if not is_empty(content) then
            for band = 0, bands - 1 do post(band, fingerprint_of(content, band), number, content) end
        end
        if call('HINCRBY', home, 'living', 1) > LOAD * blocks then grow() end
    end
    call('HSET', home .. ':d', id, order .. number)
end

local function remove(id)
    local key = home .. ':d'
    local value = call('HGET', key, id)
    if not value then return false end
    local order, number = sub(value, 1, 6), sub(value, 7)
    local member, content = entry(number)
    if not content then error('a document without an entry') end
    call('HDEL', key, id)
    if member == '' then
        local set = home .. ':m:' .. struct.unpack('>I5', number)
        call('SREM', set, order .. id)
        if call('EXISTS', set) == 1 then return true end
    end
    local place, field = entry_key(number)
    call('HDEL', place, field)
    call('HINCRBY', home, 'living', -1)
    if not is_empty(content) then
        for band = 0, bands - 1 do unpost(band, fingerprint_of(content, band), number, content) end
    end
    return true
end

-- ---- commands ---------------------------------------------------------------------------------------------------------

local commands = {}

-- limit, then set hash and fingerprints of each document
function commands.query(limit, ...)
    local met = {}
    for _, document in ipairs({ ... }) do
        gather(sub(document, 1, 8), sub(document, 9), tonumber(limit), met)
    end
    return listed(met)
end

-- the contents of some entries
function commands.entries(...)
    local met = {}
    for _, number in ipairs({ ... }) do met[number] = true end
    return listed(met)
end

-- the entries of one hash
function commands.slice(chunk)
    local met = {}
    for _, field in ipairs(call('HKEYS', home .. ':e:' .. chunk)) do met[struct.pack('>I5', chunk * EACH + field)] = true end
    return listed(met)
end

function commands.stored(id)
    local value = call('HGET', home .. ':d', id)
    if not value then return false end
    local _, content = entry(sub(value, 7))
    return { content or '' }
end

-- ids and contents in turn; the place of an id that is there, and nothing is added
function commands.add(...)
    local given = { ... }
    for i = 1, #given, 2 do
        if call('HEXISTS', home .. ':d', given[i]) == 1 then return (i - 1) / 2 end
    end
    for i = 1, #given, 2 do add(given[i], given[i + 1]) end
    return -1
end

-- added unless there is an entry that it may match and that was not examined; then those
function commands.unless(limit, examined, id, content)
    if call('HEXISTS', home .. ':d', id) == 1 then return 0 end
    local met = {}
    if not is_empty(content) then gather(sub(content, 1, 8), sub(content, FIRST, FIRST - 1 + 4 * bands), tonumber(limit), met) end
    for i = 1, #examined, 5 do met[sub(examined, i, i + 4)] = nil end
    if next(met) then
        local found = listed(met)
        if #found > 0 then return found end
    end
    add(id, content)
    return -1
end

function commands.remove(...)
    local gone = 0
    for _, id in ipairs({ ... }) do
        if remove(id) then gone = gone + 1 end
    end
    return gone
end

function commands.replace(id, content)
    if not remove(id) then return 0 end
    add(id, content)
    return 1
end

-- postings of the entries of one hash that are lost are made again
function commands.mend(chunk)
    local made = 0
    for _, field in ipairs(call('HKEYS', home .. ':e:' .. chunk)) do
        local number = struct.pack('>I5', chunk * EACH + field)
        local _, content = entry(number)
        for band = 0, is_empty(content) and -1 or bands - 1 do
            local fingerprint, met = fingerprint_of(content, band), {}
            if bucket(band, fingerprint, 0, met) then own(band, fingerprint, content, met) end
            if not met[number] then
                post(band, fingerprint, number, content)
                made = made + 1
            end
        end
    end
    return made
end

-- what was learnt of the documents, in the place of what ends with these bytes; what is there then
function commands.learnt(new, old)
    local there = call('GET', home .. ':l')
    if there and sub(there, -8) ~= old then return there end
    call('SET', home .. ':l', new)
    return new
end

-- others removed it, and may have made it anew with other parameters
if state[3] ~= ARGV[3] then return redis.error_reply('OTHERINDEX than was opened') end
local token = ARGV[2]
if token ~= '' then
    local before = call('GET', home .. ':w:' .. token)
    if before then return tonumber(before) end
end
local reply = commands[ARGV[1]](unpack(ARGV, 4))
if token ~= '' and type(reply) == 'number' then call('SET', home .. ':w:' .. token, reply, 'EX', 600) end
return reply
