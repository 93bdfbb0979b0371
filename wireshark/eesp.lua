-- SPDX-License-Identifier: BSD-3-Clause
--
-- Wireshark dissector: EESP packets of ucx-eesp (profile SL1, format 1), where
-- UCX 1.13's transports carry them.
--
--     tshark -X lua_script:eesp.lua -r job.pcap -Y eesp
--
-- Headers only: Wireshark's Lua has no AES-GCM. eesp decode opens packets.
--
--     tcp          magic(8) at the start, then frames id(1) | length(4) | data
--     udp          one packet a datagram
--     RoCEv2       RC: id(1) | data   UD: kind(4) psn(2) acknowledged(2) | data
--
-- Integers of EESP are big endian, those of UCX little endian.

local eesp = Proto("eesp", "Enhanced Encapsulating Security Payload")
local ucx = Proto("ucx_tcp", "UCX tcp transport")

local BASE, SEQUENCE, INFO, ICV = 8, 8, 4, 16
local MARKER = 0x80 -- marker 1, version 0, reserved 0
local FRAME, MESSAGES, FRAME_MAX = 5, 32, 2 * 1024 * 1024
local CONNECTION, PUT, PUT_ACK, KEEPALIVE = 32, 33, 34, 35
local OPTION_PAD1, OPTION_PADN, OPTION_CRYPT_OFFSET = 0, 1, 2
local OPTION_FULL, OPTION_COMPACT = 0xe0, 0xe1
local OPTION_ORIGIN, OPTION_COMMITMENT = 0xe2, 0xe3
local AEAD_GMAC = 5

local options = {
    [OPTION_PAD1] = "Pad1", [OPTION_PADN] = "PadN",
    [OPTION_CRYPT_OFFSET] = "Crypt Offset",
    [OPTION_FULL] = "Stateless Context, full",
    [OPTION_COMPACT] = "Stateless Context, compact",
    [OPTION_ORIGIN] = "Proxy Origin", [OPTION_COMMITMENT] = "Key Commitment",
}
local profiles = { [0] = "SL1", [1] = "PSP keying", [2] = "TSS keying" }
local kdfs = { "cmac-aes256", "hkdf-sha256", "hkdf-sha384", "hkdf-sha512",
               "hmac-sha256" }
local aeads = { "aes-128-gcm", "aes-256-gcm", "chacha20-poly1305",
                "aes-256-gcm-siv", "aes-256-gmac" }
local levels = { "domain", "tenant", "job", "task" }
local frames = { [CONNECTION] = "connection", [PUT] = "put",
                 [PUT_ACK] = "put acknowledged", [KEEPALIVE] = "keepalive" }

-- By bit, from 0: name, and fields with their sizes.
local selectors = {
    { "ranks", { "source_rank", 4 }, { "destination_rank", 4 } },
    { "source", { "source_id", 8 } },
    { "destination", { "destination_id", 8 } },
    { "flow", { "flow", 8 } },
    { "device", { "device", 8 } },
    { "vm", { "vm", 16 } },
    { "task", { "task", 8 } },
    { "job", { "job", 8 } },
    { "ipv4", { "source_ipv4", 4 }, { "destination_ipv4", 4 } },
    { "ipv6", { "source_ipv6", 16 }, { "destination_ipv6", 16 } },
    { "tuple4", { "source_ipv4", 4 }, { "destination_ipv4", 4 },
      { "source_port", 2 }, { "destination_port", 2 }, { "protocol", 1 },
      { "reserved", 3 } },
    { "tuple6", { "source_ipv6", 16 }, { "destination_ipv6", 16 },
      { "source_port", 2 }, { "destination_port", 2 }, { "protocol", 1 },
      { "reserved", 3 } },
    { "tenant", { "tenant", 8 } },
}

-- ---- Fields ------------------------------------------------------------------

local f = {
    marker = ProtoField.uint8("eesp.marker", "Marker and version", base.HEX),
    options_length = ProtoField.uint8("eesp.options_length", "Options length"),
    session_id = ProtoField.uint16("eesp.session_id", "Session ID"),
    spi = ProtoField.uint32("eesp.spi", "SPI", base.HEX),
    option = ProtoField.uint8("eesp.option", "Option", base.HEX, options),
    option_length = ProtoField.uint8("eesp.option.length", "Length"),
    padding = ProtoField.bytes("eesp.option.padding", "Padding"),
    compact = ProtoField.bool("eesp.compact", "Compact"),
    format = ProtoField.uint8("eesp.format", "Format", base.DEC, nil, 0xf0),
    profile = ProtoField.uint8("eesp.profile", "Profile", base.DEC, profiles,
                               0x0f),
    kdf = ProtoField.uint8("eesp.kdf", "KDF", base.DEC, kdfs),
    aead = ProtoField.uint8("eesp.aead", "AEAD", base.DEC, aeads),
    flags = ProtoField.uint8("eesp.flags", "Flags", base.HEX, nil, 0xf0),
    bound = ProtoField.bool("eesp.flags.bound",
                            "Bound to the destination's incarnation", 8, nil,
                            0x80),
    partition = ProtoField.bool("eesp.flags.partition", "Nonces partitioned",
                                8, nil, 0x40),
    committed = ProtoField.bool("eesp.flags.commitment", "Key commitment", 8,
                                nil, 0x20),
    proxied = ProtoField.bool("eesp.flags.proxied", "Proxied", 8, nil, 0x10),
    levels = ProtoField.uint8("eesp.levels", "Levels", base.HEX, nil, 0x0f),
    selectors = ProtoField.uint16("eesp.selectors", "Selectors", base.HEX),
    epoch = ProtoField.uint16("eesp.epoch", "Epoch"),
    phase_shift = ProtoField.uint8("eesp.phase_shift", "Phase shift"),
    combination_id = ProtoField.uint8("eesp.combination_id",
                                      "Combination id"),
    incarnation = ProtoField.uint64("eesp.incarnation", "Source incarnation",
                                    base.HEX),
    source_rank = ProtoField.uint32("eesp.source_rank", "Source rank"),
    destination_rank = ProtoField.uint32("eesp.destination_rank",
                                         "Destination rank"),
    source_id = ProtoField.uint64("eesp.source_id", "Source id", base.HEX),
    destination_id = ProtoField.uint64("eesp.destination_id",
                                       "Destination id", base.HEX),
    flow = ProtoField.uint64("eesp.flow", "Flow id", base.HEX),
    device = ProtoField.uint64("eesp.device", "Device id", base.HEX),
    vm = ProtoField.bytes("eesp.vm", "VM id"),
    task = ProtoField.uint64("eesp.task", "Task id", base.HEX),
    job = ProtoField.uint64("eesp.job", "Job id", base.HEX),
    tenant = ProtoField.uint64("eesp.tenant", "Tenant id", base.HEX),
    source_ipv4 = ProtoField.ipv4("eesp.source_ipv4", "Source address"),
    destination_ipv4 = ProtoField.ipv4("eesp.destination_ipv4",
                                       "Destination address"),
    source_ipv6 = ProtoField.ipv6("eesp.source_ipv6", "Source address"),
    destination_ipv6 = ProtoField.ipv6("eesp.destination_ipv6",
                                       "Destination address"),
    source_port = ProtoField.uint16("eesp.source_port", "Source port"),
    destination_port = ProtoField.uint16("eesp.destination_port",
                                         "Destination port"),
    protocol = ProtoField.uint8("eesp.protocol", "Protocol"),
    reserved = ProtoField.bytes("eesp.reserved", "Reserved"),
    hops = ProtoField.uint8("eesp.origin.hops", "Hops"),
    origin_domain = ProtoField.uint32("eesp.origin.domain", "Domain id"),
    origin_rank = ProtoField.uint32("eesp.origin.rank", "Source rank"),
    origin_sequence = ProtoField.uint64("eesp.origin.sequence", "Sequence"),
    commitment = ProtoField.bytes("eesp.commitment", "Commitment"),
    payload_offset = ProtoField.uint16("eesp.payload_offset",
                                       "Payload offset, in 4 bytes", base.DEC,
                                       nil, 0xfc00),
    crypt_offset = ProtoField.uint16("eesp.crypt_offset",
                                     "Readable, in 4 bytes", base.DEC, nil,
                                     0x03f0),
    sequence = ProtoField.uint64("eesp.sequence", "Sequence"),
    header_length = ProtoField.uint16("eesp.header_length", "Header length"),
    length = ProtoField.uint32("eesp.length", "Packet length"),
    sealed = ProtoField.bytes("eesp.sealed", "Sealed"),
    readable = ProtoField.bytes("eesp.readable", "Readable"),
    icv = ProtoField.bytes("eesp.icv", "ICV"),
}
for _, level in ipairs(levels) do
    f["generation_" .. level] = ProtoField.uint8(
        "eesp.generation." .. level,
        "Generation of the " .. level .. " key, modulo 256 (compact: 4)")
end
eesp.fields = f

local e = {
    malformed = ProtoExpert.new("eesp.malformed", "Not as EESP format 1 is",
                                expert.group.MALFORMED,
                                expert.severity.ERROR),
    readable = ProtoExpert.new("eesp.clear", "Authentic, not encrypted",
                               expert.group.SECURITY, expert.severity.WARN),
}
eesp.experts = e

local u = {
    magic = ProtoField.bytes("ucx_tcp.magic", "Magic number"),
    id = ProtoField.uint8("ucx_tcp.id", "Id"),
    length = ProtoField.uint32("ucx_tcp.length", "Length"),
    data = ProtoField.bytes("ucx_tcp.data", "Data"),
    put_address = ProtoField.uint64("ucx_tcp.put.address", "Address",
                                    base.HEX),
    put_length = ProtoField.uint64("ucx_tcp.put.length", "Length"),
    put_number = ProtoField.uint32("ucx_tcp.put.number", "Number"),
}
ucx.fields = u

local clear = ProtoExpert.new("ucx_tcp.clear", "Data that is not sealed",
                              expert.group.SECURITY, expert.severity.WARN)
local lost = ProtoExpert.new("ucx_tcp.lost", "No frame of UCX",
                             expert.group.UNDECODED, expert.severity.NOTE)
ucx.experts = { clear, lost }

-- ---- Reading -----------------------------------------------------------------

local function bit_is_set(value, bit)
    return math.floor(value / 2 ^ bit) % 2 == 1
end

local function selectors_length(bitmap)
    local length = 0
    for bit, selector in ipairs(selectors) do
        if bit_is_set(bitmap, bit - 1) then
            for i = 2, #selector do
                length = length + selector[i][2]
            end
        end
    end
    return length
end

-- Whether an option has the length that its type has.
local function option_fits(tvb, at, size)
    local kind = tvb(at, 1):uint()
    if kind == OPTION_FULL then
        local bitmap = size >= 24 and tvb(at + 6, 2):uint() or 0xffff
        return bitmap < 2 ^ #selectors and
               math.floor(tvb(at + 2, 1):uint() / 16) == 1 and
               size == 24 + selectors_length(bitmap)
    end
    return kind == OPTION_PADN or
           kind == OPTION_COMPACT and size == 20 or
           kind == OPTION_ORIGIN and size == 20 or
           kind == OPTION_COMMITMENT and size == 18 or
           kind == OPTION_CRYPT_OFFSET and size == 4
end

-- The options of a packet, or nil if it is none: {at, size} each.
local function options_of(tvb)
    if tvb:len() < BASE or tvb(0, 1):uint() ~= MARKER or
       tvb:len() < BASE + tvb(1, 1):uint() + SEQUENCE then
        return nil
    end
    local found, contexts, at = {}, 0, BASE
    local stop = BASE + tvb(1, 1):uint()
    while at < stop do
        local kind, size = tvb(at, 1):uint(), 1
        if kind ~= OPTION_PAD1 then
            if at + 2 > stop then
                return nil
            end
            size = 2 + tvb(at + 1, 1):uint()
            if at + size > stop or not option_fits(tvb, at, size) then
                return nil
            end
        end
        if kind == OPTION_FULL or kind == OPTION_COMPACT then
            contexts = contexts + 1
        end
        found[#found + 1] = { at = at, size = size, kind = kind }
        at = at + size
    end
    return contexts == 1 and found or nil
end

-- ---- EESP --------------------------------------------------------------------

local function add_generations(tree, range, compact)
    for i, level in ipairs(levels) do
        local field = f["generation_" .. level]
        if compact then
            tree:add(field, range, range:bitfield(8 - 2 * i, 2))
        else
            tree:add(field, range(i - 1, 1))
        end
    end
end

-- told: what the list of packets tells, and what follows depends on.
local function add_full(tree, range, told)
    tree:add(f.format, range(2, 1))
    tree:add(f.profile, range(2, 1))
    tree:add(f.kdf, range(3, 1))
    tree:add(f.aead, range(4, 1))
    local flags = tree:add(f.flags, range(5, 1))
    for _, field in ipairs({ "bound", "partition", "committed", "proxied" }) do
        flags:add(f[field], range(5, 1))
    end
    tree:add(f.levels, range(5, 1))
    local bitmap = range(6, 2):uint()
    local item = tree:add(f.selectors, range(6, 2))
    tree:add(f.epoch, range(8, 2))
    tree:add(f.phase_shift, range(10, 1))
    add_generations(tree, range(12, 4), false)
    tree:add(f.incarnation, range(16, 8))
    told.aead = range(4, 1):uint()
    local at, names = 24, {}
    for bit, selector in ipairs(selectors) do
        if bit_is_set(bitmap, bit - 1) then
            names[#names + 1] = selector[1]
            for i = 2, #selector do
                local name, size = selector[i][1], selector[i][2]
                tree:add(f[name], range(at, size))
                if size == 4 and not told[name] then
                    told[name] = range(at, size):uint()
                end
                at = at + size
            end
        end
    end
    item:append_text(" (" .. table.concat(names, ", ") .. ")")
end

local function add_compact(tree, range, told)
    tree:add(f.combination_id, range(2, 1))
    add_generations(tree, range(3, 1), true)
    tree:add(f.epoch, range(4, 2))
    tree:add(f.destination_rank, range(6, 2)):append_text(", low 16 bits")
    tree:add(f.source_rank, range(8, 4))
    tree:add(f.incarnation, range(12, 8))
    told.source_rank = range(8, 4):uint()
    told.destination_rank = range(6, 2):uint()
end

local function add_option(tree, tvb, option, told)
    local range = tvb(option.at, option.size)
    local branch = tree:add(f.option, range(0, 1))
    branch:set_len(option.size)
    if option.size > 1 then
        branch:add(f.option_length, range(1, 1))
    end
    if option.kind == OPTION_FULL or option.kind == OPTION_COMPACT then
        local compact = option.kind == OPTION_COMPACT
        branch:add(f.compact, range(0, 1), compact):set_generated()
        local add = compact and add_compact or add_full
        add(branch, range, told)
    elseif option.kind == OPTION_ORIGIN then
        branch:add(f.hops, range(2, 1))
        branch:add(f.origin_domain, range(4, 4))
        branch:add(f.origin_rank, range(8, 4))
        branch:add(f.origin_sequence, range(12, 8))
    elseif option.kind == OPTION_COMMITMENT then
        branch:add(f.commitment, range(2, 16))
    elseif option.kind == OPTION_CRYPT_OFFSET then
        branch:add(f.payload_offset, range(2, 2))
        branch:add(f.crypt_offset, range(2, 2))
        told.exposed = 4 * (math.floor(range(2, 2):uint() / 16) % 64)
    elseif option.size > 2 then
        branch:add(f.padding, range(2, option.size - 2))
    end
end

-- From the Payload Info Header on.
local function add_body(tree, tvb, start, told)
    local length = tvb:len() - start - ICV
    if told.part then -- the rest comes in other packets
        tree:add(f.sealed, tvb(start)):append_text(", first part")
        return
    end
    if length < INFO then
        tree:add_proto_expert_info(e.malformed, "shorter than an ICV")
        return
    end
    local exposed = told.aead == AEAD_GMAC and length or
                    math.min(told.exposed or 0, length)
    if exposed > 0 then
        tree:add(f.readable, tvb(start, exposed))
        tree:add_proto_expert_info(e.readable)
    end
    if exposed < length then
        tree:add(f.sealed, tvb(start + exposed, length - exposed))
    end
    tree:add(f.icv, tvb(start + length, ICV))
end

-- part: the first of several that a packet was cut into.
local function dissect(tvb, pinfo, root, part)
    local found = options_of(tvb)
    local tree = root:add(eesp, tvb())
    pinfo.cols.protocol = "EESP"
    if not found then
        tree:add_proto_expert_info(e.malformed)
        return tvb:len()
    end
    local told, header = { part = part }, BASE + tvb(1, 1):uint() + SEQUENCE
    tree:add(f.marker, tvb(0, 1))
    tree:add(f.options_length, tvb(1, 1))
    tree:add(f.session_id, tvb(2, 2))
    tree:add(f.spi, tvb(4, 4))
    for _, option in ipairs(found) do
        add_option(tree, tvb, option, told)
    end
    tree:add(f.sequence, tvb(header - SEQUENCE, SEQUENCE))
    tree:add(f.header_length, header):set_generated()
    if not part then
        tree:add(f.length, tvb:reported_len()):set_generated()
    end
    add_body(tree, tvb, header, told)
    local text = string.format("SPI 0x%08x", tvb(4, 4):uint())
    if told.source_rank then
        text = text .. string.format(" rank %d > %d", told.source_rank,
                                     told.destination_rank)
    end
    text = text .. " sequence " ..
           tostring(tvb(header - SEQUENCE, SEQUENCE):uint64())
    tree:append_text(", " .. text)
    pinfo.cols.info:append(" [" .. text .. "]")
    return tvb:len()
end

function eesp.dissector(tvb, pinfo, root)
    return dissect(tvb, pinfo, root, false)
end

-- ---- UCX tcp -----------------------------------------------------------------

-- The magic number's first byte is no id, so five tell it.
local function is_magic(tvb, at)
    return tvb(at, FRAME):bytes():tohex() == "78563412BE"
end

local function frame_fits(id, length)
    if id < MESSAGES then
        return length <= FRAME_MAX
    end
    return id == CONNECTION and length >= 4 and length <= 256 or
           id == PUT and length == 20 or id == PUT_ACK and length == 4 or
           id == KEEPALIVE and length == 0
end

-- Bytes of the frame at offset, 0: more must be there to tell.
local function frame_length(tvb, _, offset)
    if is_magic(tvb, offset) then
        return 8
    end
    local id = tvb(offset, 1):uint()
    local length = tvb(offset + 1, 4):le_uint()
    if not frame_fits(id, length) then
        return tvb:len() - offset -- not to be told where the next one is
    end
    if id == PUT then -- its data follows the frame, uncounted
        if tvb:len() - offset < FRAME + length then
            return 0
        end
        local data = tvb(offset + FRAME + 8, 8):le_uint64()
        length = length + math.min(data:tonumber(), FRAME_MAX)
    end
    return FRAME + length
end

local function add_message(tree, tvb, pinfo, root, id, length)
    if tvb:len() > FRAME then
        local data = tvb(FRAME):tvb()
        if options_of(data) then
            dissect(data, pinfo, root, tvb:len() < FRAME + length)
            return
        end
        tree:add(u.data, tvb(FRAME))
    end
    tree:add_proto_expert_info(clear)
    pinfo.cols.info:append(string.format(" [NOT SEALED: message id %d]", id))
end

local function add_put(tree, tvb, pinfo)
    tree:add_le(u.put_address, tvb(FRAME, 8))
    tree:add_le(u.put_length, tvb(FRAME + 8, 8))
    tree:add_le(u.put_number, tvb(FRAME + 16, 4))
    if tvb:len() > FRAME + 20 then
        tree:add(u.data, tvb(FRAME + 20))
        tree:add_proto_expert_info(clear)
        pinfo.cols.info:append(" [NOT SEALED: put]")
    end
end

local function add_frame(tvb, pinfo, root)
    local tree = root:add(ucx, tvb())
    pinfo.cols.protocol = "UCX"
    if is_magic(tvb, 0) then
        tree:add(u.magic, tvb(0, 8))
        return tvb:len()
    end
    local id, length = tvb(0, 1):uint(), tvb(1, 4):le_uint()
    if not frame_fits(id, length) then
        tree:add(u.data, tvb())
        tree:add_proto_expert_info(lost)
        return tvb:len()
    end
    tree:add(u.id, tvb(0, 1))
    tree:add_le(u.length, tvb(1, 4))
    tree:append_text(", " .. (frames[id] or "message id " .. id))
    if frames[id] then
        pinfo.cols.info:append(" [UCX " .. frames[id] .. "]")
    end
    if id < MESSAGES then
        add_message(tree, tvb, pinfo, root, id, length)
    elseif id == PUT then
        add_put(tree, tvb, pinfo)
    elseif length > 0 then
        tree:add(u.data, tvb(FRAME))
    end
    return tvb:len()
end

function ucx.dissector(tvb, pinfo, root)
    pinfo.cols.info = ""
    dissect_tcp_pdus(tvb, root, FRAME, frame_length, add_frame)
    return tvb:len()
end

-- The side that connects sends the magic number first. What else is to be
-- taken for UCX's has a sealed message behind frames of UCX's own, if any.
local function is_ours(tvb)
    local at = 0
    while tvb:len() - at > FRAME do
        local id, length = tvb(at, 1):uint(), tvb(at + 1, 4):le_uint()
        if is_magic(tvb, at) then
            return true
        elseif not frame_fits(id, length) or id == PUT then
            return false
        elseif id < MESSAGES then
            return options_of(tvb(at + FRAME):tvb()) ~= nil
        end
        at = at + FRAME + length
    end
    return false
end

ucx:register_heuristic("tcp", function(tvb, pinfo, root)
    if not is_ours(tvb) then
        return false
    end
    pinfo.conversation = ucx
    ucx.dissector(tvb, pinfo, root)
    return true
end)
DissectorTable.get("tcp.port"):add_for_decode_as(ucx)

-- ---- Datagrams ---------------------------------------------------------------

local function dissect_if_eesp(tvb, pinfo, root)
    if not options_of(tvb) then
        return false
    end
    eesp.dissector(tvb, pinfo, root)
    return true
end

eesp:register_heuristic("udp", dissect_if_eesp)
DissectorTable.get("udp.port"):add_for_decode_as(eesp)

-- A packet of RC that is a message's first or only one, or one of UD.
local opcode = Field.new("infiniband.bth.opcode")
local padding = Field.new("infiniband.bth.padcnt")
local SEND_FIRST = 0

eesp:register_heuristic("infiniband.payload", function(tvb, pinfo, root)
    local code, pad = opcode(), padding()
    local stop = tvb:len() - (pad and pad.value or 0)
    for _, skip in ipairs({ 1, 8 }) do
        if stop > skip then
            local data = tvb(skip, stop - skip):tvb()
            if options_of(data) then
                dissect(data, pinfo, root,
                        code ~= nil and code.value == SEND_FIRST)
                return true
            end
        end
    end
    return false
end)
