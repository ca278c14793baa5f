package manscdp

// EndOfFile is the NotifyType of a MediaStatus that says that the last byte of a
// playback or download has been sent (A.2.5).
const EndOfFile = "121"

// MediaStatus reports, inside the dialog of a playback, what became of its media
// (A.2.5).
type MediaStatus struct {
	Head
	NotifyType string // EndOfFile
}

func (*MediaStatus) name() (Root, string) { return Notify, "MediaStatus" }

func (m *MediaStatus) walk(c *codec) { c.must("NotifyType", &m.NotifyType) }

// BroadcastNotify asks a device to fetch and play a voice (A.2.5). It has no
// DeviceID; the device answers with a BroadcastResponse and invites the source.
type BroadcastNotify struct {
	Head
	SourceID string // who speaks
	TargetID string // the voice output (type 137) or its main device
}

func (*BroadcastNotify) name() (Root, string) { return Notify, "Broadcast" }

func (m *BroadcastNotify) walk(c *codec) {
	c.id("SourceID", &m.SourceID)
	c.id("TargetID", &m.TargetID)
}

// BroadcastResponse says whether the device will fetch the voice (A.2.6).
type BroadcastResponse struct {
	Head
	Result Result
	Reason string // non-standard
}

func (*BroadcastResponse) name() (Root, string) { return Response, "Broadcast" }

func (m *BroadcastResponse) walk(c *codec) {
	c.result("Result", &m.Result)
	c.text("Reason", &m.Reason)
}

// SnapShotFinished says which pictures of a SnapShotConfig were uploaded; fewer
// than ordered is a failure of the rest (2022, A.2.5 UploadSnapShotFinished).
type SnapShotFinished struct {
	Head
	SessionID string   // of the SnapShotConfig
	Files     []string // identities, 41 digits recommended
}

func (*SnapShotFinished) name() (Root, string) { return Notify, "UploadSnapShotFinished" }

func (m *SnapShotFinished) walk(c *codec) {
	c.must("SessionID", &m.SessionID)
	c.in("SnapShotList", func(c *codec) { c.texts("SnapShotFileID", &m.Files) })
}
