"""Answers as types; made by `make docs`, do not change by hand.

One class for all firmware versions, with the members as JSON has them. One
that is not told of, or not by this version, is None.
"""

from msgspec import Struct

from softaxe.client.members import (
    CoinbaseOutput,
    HashrateMonitor,
    Partition,
    Pool,
    Rejection,
)


class Info(Struct, frozen=True, kw_only=True):
    """What `/api/system/info` tells."""

    power: float | None = None
    """Power (W)."""
    voltage: float | None = None
    """Input voltage (mV)."""
    current: float | None = None
    """Core current (TPS546) or input current (INA260) (mA)."""
    temp: float | None = None
    """Chip temperature; -1 while the chip is off (°C)."""
    vrTemp: float | None = None
    """Voltage regulator temperature (°C)."""
    maxPower: int | None = None
    """Most the board takes (W)."""
    nominalVoltage: int | None = None
    """Input voltage the board is made for (V)."""
    hashRate: float | None = None
    """Hash rate of the last poll (GH/s)."""
    expectedHashrate: float | None = None
    """What the frequency should give (GH/s)."""
    bestDiff: float | None = None
    """Best difficulty ever."""
    bestSessionDiff: float | None = None
    """Best difficulty since boot."""
    stratumDiff: float | None = None
    """Difficulty of the job that was last sent to the chip. Up to 2.8."""
    isUsingFallbackStratum: bool | None = None
    """Whether the fallback pool is in use."""
    isPSRAMAvailable: bool | None = None
    """Whether there is PSRAM."""
    freeHeap: int | None = None
    """Free memory (bytes)."""
    coreVoltage: int | None = None
    """Core voltage as set (mV)."""
    coreVoltageActual: float | None = None
    """Core voltage as measured (mV)."""
    frequency: float | None = None
    """Frequency as set (MHz)."""
    ssid: str | None = None
    """Wi-Fi network."""
    macAddr: str | None = None
    """MAC address."""
    hostname: str | None = None
    """Host name."""
    wifiStatus: str | None = None
    """Wi-Fi state in words."""
    wifiRSSI: int | None = None
    """Signal strength; -90 when not connected (dBm)."""
    apEnabled: bool | None = None
    """Whether the configuration access point is on."""
    sharesAccepted: int | None = None
    """Accepted since boot or failover."""
    sharesRejected: int | None = None
    """Rejected since boot or failover."""
    sharesRejectedReasons: list[Rejection] | None = None
    """Why shares were rejected, and how often."""
    uptimeSeconds: int | None = None
    """Since boot (s)."""
    asicCount: int | None = None
    """Chips. Up to 2.8."""
    smallCoreCount: int | None = None
    """Small cores of a chip."""
    ASICModel: str | None = None
    """Chip."""
    stratumURL: str | None = None
    """Primary pool's host."""
    fallbackStratumURL: str | None = None
    """Fallback pool's host."""
    stratumPort: int | None = None
    """Primary pool's port."""
    fallbackStratumPort: int | None = None
    """Fallback pool's port."""
    stratumUser: str | None = None
    """User at the primary pool."""
    fallbackStratumUser: str | None = None
    """User at the fallback pool."""
    version: str | None = None
    """Firmware version."""
    idfVersion: str | None = None
    """ESP-IDF version."""
    boardVersion: str | None = None
    """Board version."""
    runningPartition: str | None = None
    """Partition the firmware runs from."""
    overheat_mode: bool | None = None
    """Whether the overheat protection acted."""
    overclockEnabled: bool | None = None
    """Whether values outside the options are allowed."""
    display: str | None = None
    """Kind of display."""
    flipscreen: int | None = None
    """Whether the screen is upside down. Up to 2.8."""
    invertscreen: bool | None = None
    """Whether the screen is inverted."""
    displayTimeout: int | None = None
    """-1 always on, 0 always off (min)."""
    autofanspeed: bool | None = None
    """Whether temperature controls the fan."""
    fanspeed: float | None = None
    """Fan speed commanded now (%)."""
    temptarget: int | None = None
    """Target of the fan control (°C)."""
    fanrpm: int | None = None
    """Fan speed (rpm)."""
    statsLimit: int | None = None
    """Most rows of the statistics; 0 is off."""
    statsDuration: int | None = None
    """Time that the statistics reach back (h). Up to 2.8."""
    power_fault: str | None = None
    """The regulator's fault, while there is one."""
    poolDifficulty: float | None = None
    """Difficulty the pool asks for. From 2.9 on."""
    stratumSuggestedDifficulty: int | None = None
    """Difficulty suggested. From 2.9 on."""
    stratumExtranonceSubscribe: bool | None = None
    """Whether new extranonces are asked for. From 2.9 on."""
    fallbackStratumSuggestedDifficulty: int | None = None
    """Difficulty suggested to the fallback pool. From 2.9 on."""
    fallbackStratumExtranonceSubscribe: bool | None = None
    """Whether the fallback pool is asked for new extranonces. From 2.9 on."""
    responseTime: float | None = None
    """The pool's last response time (ms). From 2.9 on."""
    axeOSVersion: str | None = None
    """Web page version. From 2.9 on."""
    rotation: int | None = None
    """Screen rotation (degrees). From 2.9 on."""
    statsFrequency: int | None = None
    """Statistics interval; 0 is off (s). From 2.9 on."""
    temp2: float | None = None
    """Second sensor; -1 without one (°C). From 2.10 on."""
    minFanSpeed: int | None = None
    """Least automatic fan speed (%). From 2.10 on."""
    errorPercentage: float | None = None
    """Errored share of the hash rate (%). From 2.11 on."""
    poolAddrFamily: int | None = None
    """0 not connected, 2 IPv4, 10 IPv6. From 2.11 on. Up to 2.12.2."""
    freeHeapInternal: int | None = None
    """Free internal memory (bytes). From 2.11 on."""
    freeHeapSpiram: int | None = None
    """Free PSRAM (bytes). From 2.11 on."""
    ipv4: str | None = None
    """IPv4 address; empty before the first. From 2.11 on."""
    ipv6: str | None = None
    """IPv6 address; empty before the first. From 2.11 on."""
    manualFanSpeed: int | None = None
    """Fan speed without automatic control (%). From 2.11 on."""
    fan2rpm: int | None = None
    """Second fan; 0 without one (rpm). From 2.11 on."""
    blockFound: int | None = None
    """Blocks found since boot; up to 2.12 whether there was one. From 2.11 on."""
    blockHeight: int | None = None
    """Block being mined, once known. From 2.11 on."""
    scriptsig: str | None = None
    """Text in that block's coinbase. From 2.11 on."""
    networkDifficulty: int | None = None
    """Difficulty of a block. From 2.11 on."""
    hashrateMonitor: HashrateMonitor | None = None
    """Counters of every chip: `asics`, an array of {total, domains, errorCount}. From
    2.11 on."""
    hashRate_1m: float | None = None
    """Average over a minute (GH/s). From 2.12.0 on."""
    hashRate_10m: float | None = None
    """Average over ten minutes (GH/s). From 2.12.0 on."""
    hashRate_1h: float | None = None
    """Average over an hour (GH/s). From 2.12.0 on."""
    resetReason: str | None = None
    """Why the device last reset. From 2.12.0 on."""
    poolConnectionInfo: str | None = None
    """How the last pool was reached: `Not Connected`, `IPv4`, `IPv6`. From 2.13 on."""
    stratumTLS: int | None = None
    """TLS to the primary pool: 0 none, 1 known authorities, 2 stratumCert. From 2.13
    on."""
    stratumCert: str | None = None
    """Certificate of the primary pool. From 2.13 on."""
    stratumDecodeCoinbase: bool | None = None
    """Whether the primary pool's coinbase is read. From 2.13 on."""
    fallbackStratumTLS: int | None = None
    """TLS to the fallback pool, as stratumTLS. From 2.13 on."""
    fallbackStratumCert: str | None = None
    """Certificate of the fallback pool. From 2.13 on."""
    fallbackStratumDecodeCoinbase: bool | None = None
    """Whether the fallback pool's coinbase is read. From 2.13 on."""
    showNewBlock: bool | None = None
    """Whether a block was found and nobody has dismissed the news. From 2.13 on."""
    coinbaseOutputs: list[CoinbaseOutput] | None = None
    """Whom the block pays, the first six. From 2.13 on."""
    coinbaseValueTotalSatoshis: int | None = None
    """What the block pays (sat). From 2.13 on."""
    coinbaseValueUserSatoshis: int | None = None
    """What it pays to the address in the user's name (sat). From 2.13 on."""
    actualFrequency: float | None = None
    """Clock of the chips at present; 50 while mining is stopped (MHz). From 2.14 on."""
    responseShareBatch: int | None = None
    """Shares in the last answer of Stratum v2; always 0 on v1. From 2.14 on."""
    processTime: float | None = None
    """From the chip's nonce until the share was sent, of the last (ms). From 2.14
    on."""
    cpuUsage: float | None = None
    """How busy the processor is, smoothed (%). From 2.14 on."""
    miningPaused: bool | None = None
    """Whether a user has stopped mining. From 2.14 on."""
    hardware_fault: str | None = None
    """What has stopped mining until a restart. From 2.14 on."""
    stratumProtocol: str | None = None
    """`SV1` or `SV2`. From 2.14 on."""
    stratumV2AuthorityPubkey: str | None = None
    """Authority's key of the primary pool. From 2.14 on."""
    stratumV2ChannelType: str | None = None
    """`extended` or `standard`. From 2.14 on."""
    fallbackStratumV2AuthorityPubkey: str | None = None
    """Authority's key of the fallback pool. From 2.14 on."""
    fallbackStratumV2ChannelType: str | None = None
    """`extended` or `standard`. From 2.14 on."""
    fallbackStratumProtocol: str | None = None
    """`SV1` or `SV2`. From 2.14 on."""
    blockSignals: list[str] | None = None
    """Proposals that the block's maker signals for: `BIP-54`, `BIP-110`. From 2.14
    on."""
    sharesPending: int | None = None
    """Unanswered shares of Stratum v2; always 0 on v1. From 2.15 on."""
    workReceived: int | None = None
    """Jobs of the pool since boot or failover. From 2.15 on."""
    minFreeHeap: int | None = None
    """Least free memory since boot (bytes). From 2.15 on."""
    maxAllocHeap: int | None = None
    """Largest free block of internal memory (bytes). From 2.15 on."""
    totalUptimeSeconds: int | None = None
    """Of all boots together (s). From 2.15 on."""
    totalHashes: float | None = None
    """Hashes ever computed. From 2.15 on."""
    totalLog2Work: float | None = None
    """Their logarithm to base 2; 0 for none. From 2.15 on."""
    primaryPoolIndex: int | None = None
    """Which of `pools` is the primary one, as at boot. From 2.15 on."""
    secondaryPoolIndex: int | None = None
    """Which of `pools` is the fallback, as at boot. From 2.15 on."""
    useFallbackStratum: bool | None = None
    """Whether it started on the fallback pool, as at boot. From 2.15 on."""
    pools: list[Pool] | None = None
    """Pools to choose from. From 2.15 on."""
    useCustomWWW: bool | None = None
    """Whether the page of the www partition is shown. From 2.15 on."""
    partitions: list[Partition] | None = None
    """The application partitions as they were at boot. From 2.15 on."""
    fullHostname: str | None = None
    """Host name on the local network. From 2.15 on."""
    mdnsHostname: str | None = None
    """Host name as announced, once there is an address. From 2.15 on."""


class Asic(Struct, frozen=True, kw_only=True):
    """What `/api/system/asic` tells."""

    ASICModel: str | None = None
    """Chip."""
    defaultFrequency: int | None = None
    """Default frequency (MHz)."""
    frequencyOptions: list[int] | None = None
    """Frequencies that the page allows without overclockEnabled (MHz)."""
    defaultVoltage: int | None = None
    """Default core voltage (mV)."""
    voltageOptions: list[int] | None = None
    """Core voltages that the page allows without overclockEnabled (mV)."""
    deviceModel: str | None = None
    """Family. From 2.9 on."""
    swarmColor: str | None = None
    """CSS colour name. From 2.9 on."""
    asicCount: int | None = None
    """Chips. From 2.9 on."""
    hashDomains: int | None = None
    """Domains of a chip. From 2.11 on."""
