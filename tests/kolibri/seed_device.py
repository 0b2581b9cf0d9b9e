# Fills a device (0.11 to 0.19) with people, content and logs, so that its statistics are rich; runs in `kolibri manage
# shell`, on Python 2.7 too. The tests know its numbers.
import datetime, hashlib
from django.utils import timezone
from kolibri.core.auth.models import Facility, FacilityUser, Classroom, LearnerGroup
from kolibri.core.content.models import ChannelMetadata, ContentNode, File, LocalFile
from kolibri.core.logger import models as L
from kolibri.core.exams.models import Exam
from kolibri.core.lessons.models import Lesson
UTC = timezone.utc if hasattr(timezone, "utc") else datetime.timezone.utc

def names(M):
    return set(f.name for f in M._meta.get_fields())

def mk(M, **kw):
    n = names(M)
    obj = M(**dict((k, v) for k, v in kw.items() if k in n))
    obj.save()
    return obj

def h(s):
    return hashlib.md5(s.encode("utf-8")).hexdigest()

facility = Facility.objects.first()
if facility is None:
    facility = Facility.objects.create(name="Lab Facility")
ds = facility.dataset
print("facility %s dataset %s" % (facility.id, facility.dataset_id))

channel_id = h("lab-channel")
if not ChannelMetadata.objects.filter(id=channel_id).exists():
    root = mk(ContentNode, id=h("root"), title="root", channel_id=channel_id, content_id=h("root-content"), available=True, kind="topic")
    kids = []
    for i in range(60):
        k = ["video", "exercise", "html5", "document"][i % 4]
        kids.append(mk(ContentNode, id=h("node%d" % i), title="node %d" % i, channel_id=channel_id,
                       content_id=h("content%d" % i), available=True, kind=k, parent=root))
    ch = mk(ChannelMetadata, id=channel_id, name="Lab channel", version=12, root=root,
            last_updated=datetime.datetime(2024, 2, 29, 8, 30, tzinfo=UTC), min_schema_version="1", author="", description="")
    for i in range(5):
        lf = mk(LocalFile, id=h("file%d" % i), extension="mp4", available=True, file_size=3 * 2 ** 20 + 12345)
        mk(File, id=h("f%d" % i), contentnode=kids[i], local_file=lf, preset="high_res_video")
    root2 = mk(ContentNode, id=h("root2"), title="root2", channel_id=h("lab-channel-2"), content_id=h("root2-content"), available=True, kind="topic")
    mk(ChannelMetadata, id=h("lab-channel-2"), name="Empty channel", version=0, root=root2, min_schema_version="1", author="", description="")

def user(username, **kw):
    kw.update(username=username, full_name=username, facility=facility, password="***")
    n = names(FacilityUser)
    u = FacilityUser(**dict((k, v) for k, v in kw.items() if k in n))
    u.save()
    return u

room = Classroom.objects.create(name="Class 1", parent=facility)
group = LearnerGroup.objects.create(name="Group 1", parent=room)
genders = ["FEMALE", "MALE", "NOT_SPECIFIED", "DEFERRED", ""]
years = ["2008", "2009", "2010", "2011", "2012", "NOT_SPECIFIED", "DEFERRED", ""]
learners = [user("learner%02d" % i, gender=genders[i % 5], birth_year=years[i % 8]) for i in range(24)]
coaches = [user("coach%02d" % i, gender=genders[i % 2], birth_year=str(1970 + i)) for i in range(11)]
for c in coaches[:10]:
    facility.add_role(c, "coach")
facility.add_role(coaches[10], "admin")
for l in learners:
    room.add_member(l)
for l in learners[:5]:
    group.add_learner(l)

admin = coaches[10]
lesson = mk(Lesson, title="Lesson", created_by=admin, collection=room)
exam = mk(Exam, title="Quiz", creator=admin, collection=room, question_count=1, active=True, channel_id=channel_id)
devinfo = ["Android,9/Chrome Mobile,86", "Windows,10/Firefox,115", "Linux/Chrome,120", ""]
t0 = datetime.datetime(2023, 3, 1, 9, 0, tzinfo=UTC)
for i, u in enumerate(learners + coaches[:3]):
    for j in range(3):
        t = t0 + datetime.timedelta(days=11 * i + j, minutes=7 * j)
        mk(L.UserSessionLog, user=u, start_timestamp=t, last_interaction_timestamp=t + datetime.timedelta(minutes=40),
           device_info=devinfo[(i + j) % 4], pages="", channels="")
    for j in range(4):
        t = t0 + datetime.timedelta(days=11 * i + j)
        kind = ["video", "exercise", "html5", "document"][j]
        sl = mk(L.ContentSessionLog, user=u, channel_id=channel_id, content_id=h("content%d" % (4 * (i % 15) + j)), kind=kind,
                start_timestamp=t, end_timestamp=t + datetime.timedelta(minutes=5), time_spent=300.0 + i, progress=0.5)
        sm = mk(L.ContentSummaryLog, user=u, channel_id=channel_id, content_id=h("content%d" % (4 * (i % 15) + j)), kind=kind,
                start_timestamp=t, end_timestamp=t + datetime.timedelta(minutes=5), time_spent=300.0 + i, progress=1.0,
                completion_timestamp=(t + datetime.timedelta(minutes=5)) if j % 2 else None)
        if kind == "exercise":
            ml = mk(L.MasteryLog, user=u, summarylog=sm, start_timestamp=t, mastery_level=1, mastery_criterion={"type": "do_all"})
            for q in range(3):
                mk(L.AttemptLog, user=u, item="q%d" % q, start_timestamp=t, end_timestamp=t, completion_timestamp=t, correct=1,
                   sessionlog=sl, masterylog=ml, time_spent=3.5)
for i in range(9):
    t = t0 + datetime.timedelta(days=i)
    mk(L.ContentSessionLog, user=None, dataset=ds, channel_id=channel_id, content_id=h("content%d" % i), kind="video",
       start_timestamp=t, end_timestamp=t, time_spent=61.0, progress=0, visitor_id=(h("visitor%d" % (i % 4)) if i < 7 else None))
if hasattr(L, "ExamLog"):
    for u in learners[:6]:
        el = mk(L.ExamLog, user=u, exam=exam, closed=True, completion_timestamp=t0)
        mk(L.ExamAttemptLog, user=u, examlog=el, item="q0", content_id=h("content1"), channel_id=channel_id, start_timestamp=t0,
           end_timestamp=t0, completion_timestamp=t0, correct=1, time_spent=2.0)
else:
    for u in learners[:6]:
        sl = mk(L.ContentSessionLog, user=u, channel_id=None, content_id=exam.id, kind="quiz", start_timestamp=t0, end_timestamp=t0, time_spent=60.0)
        sm = mk(L.ContentSummaryLog, user=u, channel_id=None, content_id=exam.id, kind="quiz", start_timestamp=t0, end_timestamp=t0, time_spent=60.0)
        ml = mk(L.MasteryLog, user=u, summarylog=sm, start_timestamp=t0, mastery_level=1, mastery_criterion={"type": "quiz"})
        mk(L.AttemptLog, user=u, item="q0", start_timestamp=t0, end_timestamp=t0, completion_timestamp=t0, correct=1, sessionlog=sl,
           masterylog=ml, time_spent=2.0)
print("SEEDED users=%d sess=%d" % (FacilityUser.objects.count(), L.ContentSessionLog.objects.count()))
